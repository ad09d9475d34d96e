import fc from 'fast-check';
import { expect, it } from 'vitest';
import { durationMs } from './duration.ts';

it.each([
  [0, 0],
  [1_500, 1_500],
  [1.6, 2],
  ['250ms', 250],
  ['30s', 30_000],
  ['1.5s', 1_500],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
])('%j is %i ms', (duration, expected) => expect(durationMs(duration)).toBe(expected));

it.each([-1, NaN, Infinity, '', '30', 's', '-1s', '1 s', '1S', '1w', '1e3s', '.5s', ' 1s', `${'9'.repeat(400)}d`])(
  '%j is no duration',
  (duration) => expect(durationMs(duration)).toBeNull(),
);

it('gives a whole number of at least 0, or null, whatever it is given', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double(), fc.stringMatching(/^\d{1,400}(\.\d+)?(ms|s|m|h|d)$/)), (duration) => {
      const found = durationMs(duration);
      expect(found === null || (Number.isInteger(found) && found >= 0)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

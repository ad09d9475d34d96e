import fc from 'fast-check';
import { expect, it } from 'vitest';
import { instantText, latestInstantMs, parseInstant } from './instant.ts';

it.each([
  ['2026-01-01T09:00:00Z', Date.UTC(2026, 0, 1, 9)],
  ['2026-01-01T09:00:00.123Z', Date.UTC(2026, 0, 1, 9, 0, 0, 123)],
  ['2026-01-01T09:00:00.123456Z', Date.UTC(2026, 0, 1, 9, 0, 0, 123)],
  ['2026-01-01T10:30:00+01:30', Date.UTC(2026, 0, 1, 9)],
  ['2026-01-01t09:00:00z', Date.UTC(2026, 0, 1, 9)],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ['0000-02-29T00:00:00Z', -62_162_121_600_000],
  ['9999-12-31T23:59:59.999Z', latestInstantMs],
])('%s is an instant', (text, timeMs) => expect(parseInstant(text)).toBe(timeMs));

it.each([
  ['without a zone, which every machine would read as another instant', '2026-01-01T09:00:00'],
  ['a date alone', '2026-01-01'],
  ['a day that does not exist', '2026-02-30T00:00:00Z'],
  ['29 February of a common year', '2026-02-29T00:00:00Z'],
  ['day 0', '2026-01-00T00:00:00Z'],
  ['month 13', '2026-13-01T00:00:00Z'],
  ['month 0', '2026-00-01T00:00:00Z'],
  ['hour 24', '2026-01-01T24:00:00Z'],
  ['second 60', '2026-01-01T00:00:60Z'],
  ['an offset that does not exist', '2026-01-01T00:00:00+99:00'],
  ['a year of five digits', '+12026-01-01T00:00:00Z'],
  ['an instant after the last one', '9999-12-31T23:59:59-01:00'],
  ['a space', '2026-01-01 09:00:00Z'],
  ['a name', 'tomorrow'],
  ['a number', '1767258000000'],
  ['nothing', ''],
])('takes no %s', (_name, text) => expect(parseInstant(text)).toBeNull());

it('reads back every instant as it is written', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_167_219_200_000, max: latestInstantMs }), (timeMs) => {
      expect(parseInstant(new Date(timeMs).toISOString())).toBe(timeMs);
    }),
    { numRuns: 2_000 },
  );
});

it('reads the form that Daybook writes as any other form of it', { timeout: 60_000 }, () => {
  const ownForm = fc.integer({ min: -62_167_219_200_000, max: latestInstantMs }).map((timeMs) => new Date(timeMs).toISOString());
  fc.assert(
    fc.property(ownForm, fc.nat(23), fc.constantFrom(...'0123456789-+:.TZ '), (written, place, character) => {
      const text = written.slice(0, place) + character + written.slice(place + 1);
      // In lower case it is not the form that Daybook writes, and means the same.
      expect(parseInstant(text)).toBe(parseInstant(text.toLowerCase()));
    }),
    { numRuns: 5_000 },
  );
});

it('never throws', { timeout: 60_000 }, () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseInstant(text) === null), { numRuns: 1_000 });
});

it('writes every instant as Date does, whichever came before', { timeout: 60_000 }, () => {
  const near = fc.integer({ min: -3_000, max: 3_000 });
  const any = fc.integer({ min: -8.64e15, max: 8.64e15 });
  const fractional = fc.double({ min: -10_000, max: 10_000, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.oneof(near, any, fractional)), (times) => {
      expect(times.map(instantText)).toEqual(times.map((timeMs) => new Date(timeMs).toISOString()));
    }),
    { numRuns: 1_000 },
  );
});

it.each([NaN, Infinity, 8.64e15 + 1_000])('writes no %d', (timeMs) => expect(() => instantText(timeMs)).toThrow(RangeError));

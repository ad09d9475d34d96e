import { expect, it } from 'vitest';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { SystemIds } from './system-ids.ts';

it('makes UUIDs of version 7 that carry the time', () => {
  const clock = new ManualClock(0x0123456789ab);
  expect(new SystemIds(clock).uuidv7()).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it('makes growing ids within a millisecond, beyond its counter, and when the clock is set back', () => {
  const clock = new ManualClock();
  const ids = new SystemIds(clock);
  const made = Array.from({ length: 10_000 }, () => ids.uuidv7());
  clock.jumpTo(clock.nowMs() - 3_600_000);
  made.push(ids.uuidv7());
  clock.jumpTo(clock.nowMs() + 7_200_000);
  made.push(ids.uuidv7());

  expect(made.toSorted()).toEqual(made);
  expect(new Set(made).size).toBe(made.length);
});

import { sleep, type Clock } from '../ports/clock.ts';

/** Waits until the promise settles, at most `waitMs`; leaves no timer behind. A rejection passes on. */
export async function waitAtMost(clock: Clock, waitMs: number, promise: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race([promise, sleep(clock, waitMs, done.signal)]);
  } finally {
    done.abort();
  }
}

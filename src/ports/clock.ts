/** Time and timers. Tests drive a manual one. */
export interface Clock {
  /** Epoch milliseconds of the wall clock: for what is recorded. It may jump. */
  nowMs(): number;
  /** Milliseconds that only grow: for measuring and for deadlines. */
  monotonicMs(): number;
  /** Calls back once after `delayMs` (at most 2^31 − 1); the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** Waits until the promise settles, at most `waitMs`; leaves no timer behind. A rejection passes on. */
export async function waitAtMost(clock: Clock, waitMs: number, promise: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race([promise, sleep(clock, waitMs, done.signal)]);
  } finally {
    done.abort();
  }
}

/** Waits; ends early, without an error, when the signal aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.setTimer(delayMs, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

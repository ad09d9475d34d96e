import { setTimeout as pause } from 'node:timers/promises';

/**
 * Repeats `attempt` until it resolves; rejects with its last error after `limitMs`, or as soon as `isHopeless(error)` says so.
 * A single attempt may take `attemptMs`; what it leaves behind then is abandoned, so it has to bound itself too.
 */
export async function waitUntil(attempt, { limitMs, attemptMs = 5_000, everyMs = 200, isHopeless = () => false }) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return await within(attemptMs, attempt());
    } catch (error) {
      if (performance.now() > deadline || isHopeless(error)) throw error;
    }
    await pause(everyMs);
  }
}

async function within(limitMs, promise) {
  const timer = new AbortController();
  const expiry = pause(limitMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${limitMs} ms`);
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    timer.abort();
    expiry.catch(() => {}); // the timer's own abort, or an expiry that lost the race
  }
}

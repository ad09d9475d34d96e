import { murmur2 } from './partition-of.ts';

export interface RetryPolicy {
  /** The first attempt included; at least 1. */
  readonly maxAttempts: number;
  readonly backoff: 'exponential' | 'fixed';
  /** Delay after the first failed attempt, before jitter. */
  readonly baseMs: number;
  /** No delay is longer, a handler's `RetryAfter` included; only the second after an `unknown-type` failure may be. */
  readonly maxMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { maxAttempts: 3, backoff: 'exponential', baseMs: 1_000, maxMs: 300_000 };

const encoder = new TextEncoder();

/**
 * The delay between the failure of an attempt and the due time of the next.
 * Exponential: min(max, base × 2^(attempt − 1)), fixed: min(max, base); both times a factor in [0.5, 1] that is
 * seeded by task and attempt, so that a replay computes the same instant and tasks that failed together spread out.
 * A `retryAfterMs` hint of the handler replaces the computed delay as it is, capped by `maxMs`.
 */
export function retryDelayMs(policy: RetryPolicy, taskId: string, failedAttempt: number, retryAfterMs?: number): number {
  if (retryAfterMs !== undefined) return Math.min(policy.maxMs, retryAfterMs);
  // Beyond 2^40 the product exceeds every allowed maximum; the cap keeps it finite.
  const growth = policy.backoff === 'fixed' ? 1 : 2 ** Math.min(failedAttempt - 1, 40);
  return Math.round(Math.min(policy.maxMs, policy.baseMs * growth) * jitterFactor(taskId, failedAttempt));
}

/** A number in [0.5, 1], the same for the same task and attempt. */
function jitterFactor(taskId: string, attempt: number): number {
  const hash = murmur2(encoder.encode(`${taskId}:${attempt}`)) >>> 0;
  return 0.5 + (hash / 0xffffffff) * 0.5;
}

import { durationMs, type Duration } from '../domain/duration.ts';

/*
 * Recognised by their name, not by their class, so that a handler may throw them from another copy of this package.
 */

/** Thrown by a handler: no retry, whatever the policy says. */
export class PermanentFailure extends Error {
  override readonly name = 'PermanentFailure';
  readonly code: string | null;

  constructor(message: string, options: { readonly code?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code ?? null;
  }
}

/**
 * Thrown by a handler: fail this attempt, and retry no earlier than after `delay`. Replaces the computed delay,
 * capped by the policy's maximum; uses an attempt.
 */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter';
  readonly retryAfterMs: number;

  constructor(delay: Duration, message = 'the handler asked to be retried later') {
    super(message);
    const delayMs = durationMs(delay);
    if (delayMs === null) throw new TypeError(`RetryAfter: ${JSON.stringify(delay)} is no duration; use milliseconds or '2s'`);
    this.retryAfterMs = delayMs;
  }
}

/** Thrown by `ctx.transaction` where no claims database can hold the outcome. */
export class TransactionsUnavailable extends Error {
  override readonly name = 'TransactionsUnavailable';
  readonly code = 'transactions-unavailable';
}

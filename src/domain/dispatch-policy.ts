import { latestInstantMs } from './instant.ts';
import { retryDelayMs } from './retry-schedule.ts';
import type { PermanentFailureReason, ReissueReason, RetryReason } from './task-events.ts';
import { newestAttempt, startDeadlineMs, wasHandedOut, type Accepted, type Attempt, type Failure, type TaskState } from './task-state.ts';

/** What the dispatcher may be told beside a task's own history. */
export interface DispatchPolicy {
  /** How long after a budget began `unknown-type` failures do not use it up: a rolling deploy takes that long. */
  readonly unknownTypeGraceMs: number;
  /**
   * How often the job of one attempt is issued again after it was lost, those not counted whose queue is known to have
   * been lost: such a loss says nothing against the task. The next loss ends it.
   */
  readonly mostReissues: number;
}

export const defaultDispatchPolicy: DispatchPolicy = { unknownTypeGraceMs: 3_600_000, mostReissues: 5 };

/** What the dispatcher learned about a job outside the log: neither the queue nor a worker has it any more. */
export interface PresumedLost {
  readonly attempt: number;
  readonly issue: number;
  readonly reason: ReissueReason;
}

/**
 * The least delay after an `unknown-type` failure, whatever the task's policy says: such retries use up no attempt for
 * an hour, and a policy of 1 ms would spend that hour filling queue and log.
 */
const unknownTypeDelayMs = 1_000;

export type Decision =
  /** Publish the job, wait for the broker's confirm, record `TaskDispatched`. */
  | { readonly type: 'Dispatch'; readonly attempt: number; readonly queue: string; readonly issue: number }
  /** The same, for an attempt whose job was lost: the next issue of it. */
  | { readonly type: 'Reissue'; readonly attempt: number; readonly queue: string; readonly issue: number; readonly reason: ReissueReason }
  /** Record the dispatch of an attempt that was seen running without one. Nothing is published. */
  | { readonly type: 'RecordDispatch'; readonly attempt: number; readonly queue: string; readonly issue: number }
  | { readonly type: 'ScheduleRetry'; readonly attempt: number; readonly dueAtMs: number; readonly reason: RetryReason; readonly causeId: string }
  /** `attempts`: how many were handed out; 0 when none was. */
  | { readonly type: 'FailPermanently'; readonly reason: PermanentFailureReason; readonly attempts: number; readonly causeId: string }
  /** `attempt`: the newest that was handed out; 0 when none was. */
  | { readonly type: 'Cancel'; readonly attempt: number; readonly reason: string; readonly causeId: string }
  /** Ask again at this time. */
  | { readonly type: 'WakeAt'; readonly timeMs: number };

/**
 * The only place that chooses what happens to a task next. Pure: it reads no clock, does nothing, and answers the
 * same for the same arguments. Each answer, once it stands in the log, makes the next answer another one.
 */
export function decide(state: TaskState, policy: DispatchPolicy, nowMs: number, lost: PresumedLost | null = null): readonly Decision[] {
  const { accepted } = state;
  const newest = newestAttempt(state);
  if (state.frozen || !accepted || !newest) return [];
  return [...missingDispatches(state), ...nextStep(state, accepted, newest, policy, nowMs, lost)];
}

function nextStep(
  state: TaskState,
  accepted: Accepted,
  newest: Attempt,
  policy: DispatchPolicy,
  nowMs: number,
  lost: PresumedLost | null,
): readonly Decision[] {
  if (state.end) {
    const { retryRequest } = state;
    if (!retryRequest) return [];
    const attempt = newest.attempt + 1;
    return [{ type: 'ScheduleRetry', attempt, dueAtMs: retryRequest.timeMs, reason: 'operator', causeId: retryRequest.eventId }];
  }
  if (state.cancellation) {
    const { reason, eventId } = state.cancellation;
    return [{ type: 'Cancel', attempt: attemptsHandedOut(newest), reason, causeId: eventId }];
  }
  if (newest.failure) return [afterFailure(state, accepted, newest, newest.failure, policy)];
  if (wasHandedOut(newest)) return lost ? afterLoss(newest, lost, policy) : [];
  const expiresAtMs = startDeadlineMs(state);
  if (expiresAtMs !== null && expiresAtMs <= nowMs) return [failPermanently('expired', newest, newest.causeId)];
  if (newest.dueAtMs > nowMs) return [{ type: 'WakeAt', timeMs: Math.min(newest.dueAtMs, expiresAtMs ?? Infinity) }];
  return [{ type: 'Dispatch', attempt: newest.attempt, queue: accepted.queue, issue: 1 }];
}

/** Only for the issue that was lost: once another one stands in the log, that one counts. */
function afterLoss(newest: Attempt, lost: PresumedLost, policy: DispatchPolicy): readonly Decision[] {
  const { attempt, dispatches } = newest;
  const last = dispatches.at(-1);
  if (!last || lost.attempt !== attempt || lost.issue !== last.issue) return [];
  const { reason } = lost;
  if (reason === 'presumed lost' && reissuesCounted(newest) >= policy.mostReissues) return [failPermanently('reissue-limit', newest, newest.causeId)];
  return [{ type: 'Reissue', attempt, queue: last.queue, issue: last.issue + 1, reason }];
}

/** All but those for which the loss of the queue was known. Any other word counts, so that there is an end to them. */
function reissuesCounted({ dispatches }: Attempt): number {
  return dispatches.filter(({ issue, reason }) => issue > 1 && reason !== ('queue lost' satisfies ReissueReason)).length;
}

/** Reads times from the log alone, so that a replay decides the same. */
function afterFailure(state: TaskState, accepted: Accepted, failed: Attempt, failure: Failure, policy: DispatchPolicy): Decision {
  const { cause, error, eventId } = failure;
  if (cause === 'crash-loop' || cause === 'delivery-limit') return failPermanently(cause, failed, eventId);
  if (!error.retryable) return failPermanently('not-retryable', failed, eventId);
  if (attemptsUsed(state, policy) >= accepted.retry.maxAttempts) return failPermanently('attempts-exhausted', failed, eventId);
  const policyDelayMs = retryDelayMs(accepted.retry, state.taskId, failed.attempt, error.retryAfterMs);
  const delayMs = cause === 'unknown-type' ? Math.max(unknownTypeDelayMs, policyDelayMs) : policyDelayMs;
  const dueAtMs = Math.min(latestInstantMs, failure.timeMs + delayMs);
  // A retry that would only become due after the expiry can never start: the task ends now instead of then.
  const expiresAtMs = startDeadlineMs(state);
  if (expiresAtMs !== null && dueAtMs >= expiresAtMs) return failPermanently('expired', failed, eventId);
  return { type: 'ScheduleRetry', attempt: failed.attempt + 1, dueAtMs, reason: 'failed', causeId: eventId };
}

/** Failed attempts of the present budget, without those that only met a worker that does not know the type yet. */
function attemptsUsed(state: TaskState, policy: DispatchPolicy): number {
  const graceEndsMs = state.budgetFromMs + policy.unknownTypeGraceMs;
  return state.attempts.filter(
    ({ attempt, failure }) =>
      attempt >= state.budgetFrom && failure !== null && (failure.cause !== 'unknown-type' || failure.timeMs >= graceEndsMs),
  ).length;
}

function failPermanently(reason: PermanentFailureReason, attempt: Attempt, causeId: string): Decision {
  return { type: 'FailPermanently', reason, attempts: attemptsHandedOut(attempt), causeId };
}

function attemptsHandedOut(newest: Attempt): number {
  return wasHandedOut(newest) ? newest.attempt : newest.attempt - 1;
}

/** What was seen at a worker and whose dispatch nobody recorded: the dispatcher died between confirm and record. */
export function missingDispatches(state: TaskState): Decision[] {
  const { accepted } = state;
  if (!accepted) return [];
  return state.attempts.flatMap((attempt) => {
    const recorded = new Set(attempt.dispatches.map(({ issue }) => issue));
    const missing = seenAtWorkers(state, accepted, attempt).filter(({ issue }) => !recorded.has(issue) && recorded.add(issue));
    return missing.map(({ queue, issue }): Decision => ({ type: 'RecordDispatch', attempt: attempt.attempt, queue, issue }));
  });
}

/** An outcome without a start names no queue and issue; the attempt's first dispatch can only have been this one. */
function seenAtWorkers(state: TaskState, accepted: Accepted, attempt: Attempt): ReadonlyArray<{ readonly queue: string; readonly issue: number }> {
  const { executions, dispatches, failure } = attempt;
  const hasOutcome = failure !== null || (state.end?.kind === 'completed' && state.end.attempt === attempt.attempt);
  const onlyOutcome = hasOutcome && executions.length === 0 && dispatches.length === 0;
  return onlyOutcome ? [{ queue: accepted.queue, issue: 1 }] : executions;
}

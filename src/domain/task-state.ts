import type { RetryPolicy } from './retry-schedule.ts';
import type { FailureCause, PermanentFailureReason, RetryReason, TaskError, Violation } from './task-events.ts';

/**
 * What the events of one task add up to. Plain data: it survives JSON unchanged, so that a read model may keep it
 * between batches. Payloads and results stay in the log.
 */
export interface TaskState {
  readonly taskId: string;
  readonly accepted: Accepted | null;
  readonly rejected: { readonly timeMs: number; readonly type: string | null; readonly typeVersion: number | null; readonly code: string; readonly violations: readonly Violation[] } | null;
  /** Attempt n stands at index n − 1. Attempt 1 exists once the task is accepted, n once its retry is scheduled. */
  readonly attempts: readonly Attempt[];
  /** The first attempt of the present budget: 1, or the one that an operator's retry opened. */
  readonly budgetFrom: number;
  /** When the present budget began: acceptance, or the operator's retry. */
  readonly budgetFromMs: number;
  readonly cancellation: PendingRequest | null;
  readonly retryRequest: PendingRequest | null;
  /** The first terminal event since the task was last opened. */
  readonly end: End | null;
  /** History of a newer build was seen: nobody may act on the task here. */
  readonly frozen: boolean;
  /** Events that were void, the first 100, each (event, code) once. */
  readonly anomalies: readonly Anomaly[];
  /** Ids of the valid events, progress apart: a copy of one of these changes nothing. */
  readonly seen: readonly string[];
}

export interface Accepted {
  readonly eventId: string;
  readonly timeMs: number;
  readonly type: string;
  readonly typeVersion: number;
  readonly tenant: string;
  readonly requestDigest: string;
  readonly queue: string;
  readonly priority: number;
  /** The earliest start; equals the acceptance when no delay was asked for. */
  readonly notBeforeMs: number;
  /** A task that has not started by then ends as expired. Null: never. */
  readonly expiresAtMs: number | null;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly batch: string | null;
  readonly parent: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Attempt {
  readonly attempt: number;
  readonly dueAtMs: number;
  /** The event that made the attempt exist. */
  readonly causeId: string;
  readonly reason: 'accepted' | RetryReason;
  readonly dispatches: readonly Dispatch[];
  /** In the order of their starts in the log; the last one is the one whose failure counts. */
  readonly executions: readonly Execution[];
  readonly failure: Failure | null;
}

export interface Dispatch {
  readonly timeMs: number;
  readonly queue: string;
  readonly issue: number;
  /** As recorded, for another build may know other words than `ReissueReason`; null: it was not issued again. */
  readonly reason: string | null;
}

export interface Execution {
  readonly executionId: string;
  readonly workerId: string;
  readonly queue: string;
  readonly issue: number;
  readonly startedAtMs: number;
  readonly redelivered: boolean;
  readonly guarded: boolean;
  readonly progress: { readonly sequence: number; readonly fraction: number; readonly note: string | null; readonly timeMs: number } | null;
  readonly finish: { readonly timeMs: number; readonly outcome: 'completed' | 'failed'; readonly durationMs: number | null } | null;
}

export interface Failure {
  readonly eventId: string;
  readonly timeMs: number;
  readonly cause: FailureCause;
  readonly error: Omit<TaskError, 'stack'>;
}

export interface PendingRequest {
  readonly eventId: string;
  readonly timeMs: number;
  readonly reason: string;
  readonly by: string;
}

export interface End {
  readonly eventId: string;
  readonly timeMs: number;
  readonly kind: 'completed' | 'failed' | 'cancelled';
  /** The attempt that ended it, 0 when none had run. */
  readonly attempt: number;
  readonly reason: PermanentFailureReason | string | null;
  readonly executionId: string | null;
}

export interface Anomaly {
  readonly code: AnomalyCode;
  readonly eventId: string | null;
  readonly detail: string;
}

/** Why an event was void. */
export type AnomalyCode =
  | 'unreadable'
  | 'unknown-task'
  | 'idempotency-key-reused'
  | 'task-already-known'
  | 'task-rejected'
  | 'no-such-attempt'
  | 'no-such-execution'
  | 'dispatch-conflict'
  | 'execution-conflict'
  | 'started-after-end'
  | 'outcome-after-end'
  | 'already-ended'
  | 'superseded-attempt'
  | 'superseded-execution'
  | 'attempt-already-failed'
  | 'attempt-exists'
  | 'not-failed'
  | 'not-requested'
  | 'not-retryable'
  | 'request-pending'
  | 'still-executing';

export const defaultQueue = 'default';
export const defaultPriority = 0;

export function initialState(taskId: string): TaskState {
  return {
    taskId,
    accepted: null,
    rejected: null,
    attempts: [],
    budgetFrom: 1,
    budgetFromMs: 0,
    cancellation: null,
    retryRequest: null,
    end: null,
    frozen: false,
    anomalies: [],
    seen: [],
  };
}

/** The newest attempt that exists; undefined before acceptance. */
export function newestAttempt(state: TaskState): Attempt | undefined {
  return state.attempts[state.attempts.length - 1];
}

export function isTerminal(state: TaskState): boolean {
  return state.end !== null || state.rejected !== null;
}

/**
 * By when the task must have started, or it expires; null when it never does. An operator who opens an ended task
 * again wants it to run: the expiry that its client asked for holds no more.
 */
export function startDeadlineMs({ accepted, budgetFrom }: TaskState): number | null {
  return budgetFrom > 1 ? null : (accepted?.expiresAtMs ?? null);
}

/** Whether an attempt was handed to a worker: dispatched, or seen there before its dispatch was recorded. */
export function wasHandedOut(attempt: Attempt): boolean {
  return attempt.dispatches.length > 0 || attempt.executions.length > 0 || attempt.failure !== null;
}

export type TaskPhase = 'accepted' | 'dispatched' | 'running' | 'retrying' | 'completed' | 'failed' | 'cancelled' | 'rejected';

/** The one word for where a task stands; null before anything is known of it. */
export function phaseOf(state: TaskState): TaskPhase | null {
  if (state.rejected) return 'rejected';
  if (state.end) return state.end.kind;
  const newest = newestAttempt(state);
  if (!newest) return null;
  if (newest.failure) return 'retrying';
  if (newest.executions.length > 0) return 'running';
  if (newest.dispatches.length > 0) return 'dispatched';
  return newest.attempt === 1 ? 'accepted' : 'retrying';
}

/**
 * Executions that started and whose end nobody recorded, although the task went on without them: the task ended,
 * a later attempt exists, or the attempt was started again. What they did in the world is in doubt.
 */
export function executionsInDoubt(state: TaskState): Array<{ readonly attempt: number; readonly execution: Execution }> {
  return state.attempts.flatMap((attempt) =>
    attempt.executions
      .filter((execution, index) => {
        const superseded = index < attempt.executions.length - 1 || attempt.attempt < state.attempts.length;
        return execution.finish === null && (superseded || attempt.failure !== null || isTerminal(state));
      })
      .map((execution) => ({ attempt: attempt.attempt, execution })),
  );
}

import { instantText } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import {
  executionsInDoubt,
  newestAttempt,
  phaseOf,
  wasHandedOut,
  type Anomaly,
  type Attempt,
  type Execution,
  type Failure,
  type TaskPhase,
  type TaskState,
} from '../../domain/task-state.ts';

/** A task as JSON answers it, without its bodies. Instants are RFC 3339; absent members do not apply. */
export interface TaskSummary {
  readonly id: string;
  readonly type: string | null;
  readonly typeVersion: number | null;
  readonly state: TaskPhase;
  /** The newest attempt that was dispatched or started; 0 while there is none. */
  readonly attempt: number;
  /** In the present budget; an operator's retry opens a new one. 0 for a rejected task. */
  readonly maxAttempts: number;
  readonly queue: string | null;
  readonly priority: number | null;
  readonly error?: ErrorView;
  /** Why it failed for good, or was cancelled. */
  readonly reason?: string;
  readonly acceptedAt: string | null;
  readonly dispatchedAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly dueAt?: string;
  readonly expiresAt?: string;
  readonly workerId?: string;
  readonly progress?: { readonly fraction: number; readonly note: string | null; readonly at: string };
  readonly batch?: string;
  readonly parent?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly anomalies: readonly Anomaly[];
  readonly links: { readonly self: string; readonly events: string; readonly attempts: string };
}

export interface ErrorView {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
  readonly retryable: boolean;
  readonly fingerprint?: string;
  readonly retryAfterMs?: number;
  readonly cause?: string;
  /** Of a rejected task: the rules that its submission broke. */
  readonly violations?: readonly { readonly pointer: string; readonly rule: string }[];
}

export interface TaskBodies {
  readonly payload: JsonValue;
  readonly result?: JsonValue;
}

export type TaskView = TaskSummary & TaskBodies;

/** @returns null for a task that was neither accepted nor rejected: only stray events are known of it */
export function taskSummary(state: TaskState): TaskSummary | null {
  const phase = phaseOf(state);
  if (!phase) return null;
  const { taskId, accepted, rejected, end, anomalies } = state;
  const current = state.attempts.findLast(wasHandedOut);
  const execution = current?.executions.at(-1);
  const error = errorOf(state, phase);
  const finishedMs = end?.timeMs ?? rejected?.timeMs;
  const dueMs = dueOf(state, phase);
  return {
    id: taskId,
    type: accepted?.type ?? rejected?.type ?? null,
    typeVersion: accepted?.typeVersion ?? rejected?.typeVersion ?? null,
    state: phase,
    attempt: current?.attempt ?? 0,
    maxAttempts: accepted?.retry.maxAttempts ?? 0,
    queue: accepted?.queue ?? null,
    priority: accepted?.priority ?? null,
    ...(error ? { error } : {}),
    ...(end?.reason ? { reason: end.reason } : {}),
    acceptedAt: accepted ? instantText(accepted.timeMs) : null,
    ...instant('dispatchedAt', current?.dispatches.at(-1)?.timeMs),
    ...instant('startedAt', execution?.startedAtMs),
    ...instant('finishedAt', finishedMs),
    ...instant('dueAt', dueMs),
    ...instant('expiresAt', accepted?.expiresAtMs ?? undefined),
    ...(execution ? { workerId: execution.workerId } : {}),
    ...progressOf(execution),
    ...(accepted?.batch ? { batch: accepted.batch } : {}),
    ...(accepted?.parent ? { parent: accepted.parent } : {}),
    tags: accepted?.tags ?? {},
    anomalies,
    links: { self: `/v1/tasks/${taskId}`, events: `/v1/tasks/${taskId}/events`, attempts: `/v1/tasks/${taskId}/attempts` },
  };
}

/** The summary with the bodies that the log holds, in the order in which a person reads them. */
export function taskView(summary: TaskSummary, { payload, result }: TaskBodies): TaskView {
  const { id, type, typeVersion, state, attempt, maxAttempts, queue, priority, ...rest } = summary;
  return { id, type, typeVersion, state, attempt, maxAttempts, queue, priority, payload, ...(result === undefined ? {} : { result }), ...rest };
}

/** One execution of an attempt; an attempt that failed without a start stands once, without an execution. */
export interface AttemptView {
  readonly attempt: number;
  readonly executionId: string | null;
  readonly workerId: string | null;
  readonly startedAt: string | null;
  readonly finishedAt?: string;
  /** `in-doubt`: it started, and the task went on without its outcome. */
  readonly outcome: 'running' | 'completed' | 'failed' | 'in-doubt';
  readonly error?: ErrorView;
  readonly issue: number;
  readonly redelivered: boolean;
  readonly guarded: boolean;
}

export function attemptViews(state: TaskState): AttemptView[] {
  const inDoubt = new Set(executionsInDoubt(state).map(({ execution }) => execution.executionId));
  return state.attempts.flatMap((attempt) => {
    const views = attempt.executions.map((execution) => executionView(attempt, execution, inDoubt.has(execution.executionId)));
    const isReported = attempt.executions.some(({ finish }) => finish?.outcome === 'failed');
    if (attempt.failure && !isReported) views.push(unstartedView(attempt, attempt.failure));
    return views;
  });
}

function executionView({ attempt, failure }: Attempt, execution: Execution, isInDoubt: boolean): AttemptView {
  const { executionId, workerId, startedAtMs, finish, issue, redelivered, guarded } = execution;
  return {
    attempt,
    executionId,
    workerId,
    startedAt: instantText(startedAtMs),
    ...instant('finishedAt', finish?.timeMs),
    outcome: finish?.outcome ?? (isInDoubt ? 'in-doubt' : 'running'),
    ...(finish?.outcome === 'failed' && failure ? { error: errorView(failure) } : {}),
    issue,
    redelivered,
    guarded,
  };
}

function unstartedView({ attempt, dispatches }: Attempt, failure: Failure): AttemptView {
  return {
    attempt,
    executionId: null,
    workerId: null,
    startedAt: null,
    finishedAt: instantText(failure.timeMs),
    outcome: 'failed',
    error: errorView(failure),
    issue: dispatches.at(-1)?.issue ?? 1,
    redelivered: false,
    guarded: false,
  };
}

function errorView({ error, cause }: Failure): ErrorView {
  return { ...error, cause };
}

function errorOf(state: TaskState, phase: TaskPhase): ErrorView | null {
  if (state.rejected) {
    const { code, violations } = state.rejected;
    return { name: 'TaskRejected', message: 'the submission broke a rule', code, retryable: false, violations };
  }
  if (phase !== 'failed' && phase !== 'retrying') return null;
  const failure = state.attempts.findLast(({ failure }) => failure !== null)?.failure;
  const reason = state.end?.reason ?? null;
  // An expiry after a failed attempt is shown with that attempt's error; `reason` says what ended the task.
  if (failure) return errorView(failure);
  return reason === null ? null : { name: 'TaskFailedPermanently', message: `the task ended without an execution: ${reason}`, code: reason, retryable: false };
}

/** When the next attempt may start; undefined once it was handed out, or when it may start at once. */
function dueOf(state: TaskState, phase: TaskPhase): number | undefined {
  const newest = newestAttempt(state);
  if (!newest || newest.failure || wasHandedOut(newest)) return undefined;
  const isDelayed = newest.dueAtMs > (state.accepted?.timeMs ?? 0);
  return phase === 'retrying' || (phase === 'accepted' && isDelayed) ? newest.dueAtMs : undefined;
}

function progressOf(execution: Execution | undefined) {
  if (!execution?.progress) return {};
  const { fraction, note, timeMs } = execution.progress;
  return { progress: { fraction, note, at: instantText(timeMs) } };
}

function instant<Name extends string>(name: Name, timeMs: number | undefined): { readonly [Key in Name]?: string } {
  return timeMs === undefined ? {} : ({ [name]: instantText(timeMs) } as { readonly [Key in Name]?: string });
}

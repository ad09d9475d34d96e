import { latestInstantMs } from './instant.ts';
import { judge, type Judgement } from './judgement.ts';
import {
  defaultPriority,
  defaultQueue,
  initialState,
  newestAttempt,
  wasHandedOut,
  type Attempt,
  type Dispatch,
  type End,
  type Execution,
  type PendingRequest,
  type TaskState,
} from './task-state.ts';
import type { DecodedRecord, TaskEvent, TaskEventOf, UnreadableRecord } from './task-events.ts';

const anomaliesKept = 100;

/**
 * The only fold of task history. Pure and total: the first valid event wins, by its place in the log; a copy of a
 * valid event changes nothing; a void event is kept as an anomaly and changes nothing else.
 */
export function evolve(state: TaskState, event: DecodedRecord): TaskState {
  const judgement = judge(state, event);
  switch (judgement.kind) {
    case 'duplicate':
    case 'repeat':
      return state;
    case 'void':
      return event.type === 'Unreadable' && event.freezes
        ? { ...withAnomaly(state, event, judgement), frozen: true }
        : withAnomaly(state, event, judgement);
    case 'valid':
      return event.type === 'Unreadable' ? state : apply(state, event);
    default:
      return judgement satisfies never;
  }
}

/** The state after the given records of one task, in the order of the log. */
export function fold(taskId: string, events: Iterable<DecodedRecord>): TaskState {
  let state = initialState(taskId);
  for (const event of events) state = evolve(state, event);
  return state;
}

/** Applies an event that was judged valid. */
function apply(state: TaskState, event: TaskEvent): TaskState {
  const next = { ...state, seen: event.type === 'TaskExecutionProgressed' ? state.seen : [...state.seen, event.id] };
  switch (event.type) {
    case 'TaskAccepted':
      return withAcceptance(next, event);
    case 'TaskRejected':
      return {
        ...next,
        rejected: { timeMs: event.timeMs, type: event.taskType, typeVersion: event.taskTypeVersion, ...event.data },
      };
    case 'TaskDispatched':
      return withAttempt(next, event.data.attempt, (attempt) => ({
        ...attempt,
        dispatches: [...attempt.dispatches, dispatchOf(event)],
      }));
    case 'TaskExecutionStarted':
      return withAttempt(next, event.data.attempt, (attempt) => withStart(attempt, event));
    case 'TaskExecutionProgressed':
      return withExecution(next, event.data.attempt, event.data.executionId, (execution) => ({
        ...execution,
        progress: { sequence: event.data.sequence, fraction: event.data.fraction, note: event.data.note ?? null, timeMs: event.timeMs },
      }));
    case 'TaskExecutionCompleted':
      return withCompletion(next, event);
    case 'TaskExecutionFailed':
      return withFailure(next, event);
    case 'TaskRetryRequested':
      return { ...next, retryRequest: pending(event) };
    case 'TaskRetryScheduled':
      return withRetry(next, event);
    case 'TaskCancellationRequested':
      return { ...next, cancellation: pending(event) };
    case 'TaskCancelled':
      return { ...next, end: endOf(next, event, 'cancelled', event.data.reason) };
    case 'TaskFailedPermanently':
      return { ...next, end: endOf(next, event, 'failed', event.data.reason) };
    default:
      return event satisfies never;
  }
}

function withAcceptance(state: TaskState, event: TaskEventOf<'TaskAccepted'>): TaskState {
  const { options, retry, timeoutMs, requestDigest, batch, parent, tags } = event.data;
  const after = (delayMs: number) => Math.min(latestInstantMs, event.timeMs + delayMs);
  const notBeforeMs = options.notBeforeMs ?? after(options.delayMs ?? 0);
  const expiresAtMs = options.expiresAtMs ?? (options.expiresInMs === undefined ? null : after(options.expiresInMs));
  return {
    ...state,
    accepted: {
      eventId: event.id,
      timeMs: event.timeMs,
      type: event.taskType ?? '',
      typeVersion: event.taskTypeVersion ?? 1,
      tenant: event.tenant,
      requestDigest,
      queue: options.queue ?? defaultQueue,
      priority: options.priority ?? defaultPriority,
      notBeforeMs,
      expiresAtMs,
      retry,
      timeoutMs,
      batch: batch ?? null,
      parent: parent ?? null,
      tags: tags ?? {},
    },
    attempts: [newAttempt(1, notBeforeMs, event.id, 'accepted')],
    budgetFromMs: event.timeMs,
  };
}

function dispatchOf({ timeMs, data: { queue, issue, reason } }: TaskEventOf<'TaskDispatched'>): Dispatch {
  return { timeMs, queue, issue, reason: reason ?? null };
}

function withStart(attempt: Attempt, event: TaskEventOf<'TaskExecutionStarted'>): Attempt {
  const { executionId, workerId, queue, issue, redelivered, guarded } = event.data;
  const execution: Execution = {
    executionId,
    workerId,
    queue,
    issue,
    startedAtMs: event.timeMs,
    redelivered,
    guarded,
    progress: null,
    finish: null,
  };
  return { ...attempt, executions: [...attempt.executions, execution] };
}

function withCompletion(state: TaskState, event: TaskEventOf<'TaskExecutionCompleted'>): TaskState {
  const { attempt, executionId, durationMs } = event.data;
  const finished = withExecution(state, attempt, executionId, (execution) => ({
    ...execution,
    finish: { timeMs: event.timeMs, outcome: 'completed', durationMs },
  }));
  return { ...finished, end: { eventId: event.id, timeMs: event.timeMs, kind: 'completed', attempt, reason: null, executionId } };
}

function withFailure(state: TaskState, event: TaskEventOf<'TaskExecutionFailed'>): TaskState {
  const { attempt, executionId, cause, durationMs } = event.data;
  const { stack: _stack, ...error } = event.data.error;
  const failed = withAttempt(state, attempt, (found) => ({
    ...found,
    failure: { eventId: event.id, timeMs: event.timeMs, cause, error },
  }));
  if (executionId === undefined) return failed;
  return withExecution(failed, attempt, executionId, (execution) => ({
    ...execution,
    finish: { timeMs: event.timeMs, outcome: 'failed', durationMs: durationMs ?? null },
  }));
}

function withRetry(state: TaskState, event: TaskEventOf<'TaskRetryScheduled'>): TaskState {
  const { attempt, dueAtMs, reason } = event.data;
  const attempts = [...state.attempts, newAttempt(attempt, dueAtMs, event.id, reason)];
  if (reason === 'failed') return { ...state, attempts };
  return { ...state, attempts, budgetFrom: attempt, budgetFromMs: event.timeMs, end: null, retryRequest: null, cancellation: null };
}

function newAttempt(attempt: number, dueAtMs: number, causeId: string, reason: Attempt['reason']): Attempt {
  return { attempt, dueAtMs, causeId, reason, dispatches: [], executions: [], failure: null };
}

function endOf(state: TaskState, event: TaskEvent, kind: 'failed' | 'cancelled', reason: string): End {
  const newest = newestAttempt(state);
  const attempt = newest && wasHandedOut(newest) ? newest.attempt : state.attempts.length - 1;
  return { eventId: event.id, timeMs: event.timeMs, kind, attempt, reason, executionId: null };
}

function pending(event: TaskEventOf<'TaskRetryRequested'> | TaskEventOf<'TaskCancellationRequested'>): PendingRequest {
  return { eventId: event.id, timeMs: event.timeMs, reason: event.data.reason, by: event.data.by };
}

function withAttempt(state: TaskState, number: number, change: (attempt: Attempt) => Attempt): TaskState {
  return { ...state, attempts: state.attempts.map((attempt) => (attempt.attempt === number ? change(attempt) : attempt)) };
}

function withExecution(state: TaskState, number: number, executionId: string, change: (execution: Execution) => Execution): TaskState {
  return withAttempt(state, number, (attempt) => ({
    ...attempt,
    executions: attempt.executions.map((execution) => (execution.executionId === executionId ? change(execution) : execution)),
  }));
}

function withAnomaly(
  state: TaskState,
  event: TaskEvent | UnreadableRecord,
  { code, detail }: Extract<Judgement, { kind: 'void' }>,
): TaskState {
  const known = state.anomalies.some((anomaly) => anomaly.code === code && anomaly.eventId === event.id);
  if (known || state.anomalies.length >= anomaliesKept) return state;
  return { ...state, anomalies: [...state.anomalies, { code, eventId: event.id, detail }] };
}

import type { DecodedRecord, TaskEvent, TaskEventOf } from './task-events.ts';
import { isTerminal, newestAttempt, wasHandedOut, type AnomalyCode, type TaskState } from './task-state.ts';

/**
 * What an event is to the state that it meets.
 * - `valid`: its transition is legal; it counts.
 * - `duplicate`: a copy of a valid event (a producer's retry); it changes nothing.
 * - `repeat`: another `TaskAccepted` of the same request; void, but no anomaly.
 * - `void`: its transition is illegal here. Kept and shown, never repaired away. Races and zombies leave voids
 *   legally, so void is not corruption.
 */
export type Judgement =
  | { readonly kind: 'valid' | 'duplicate' | 'repeat' }
  | { readonly kind: 'void'; readonly code: AnomalyCode; readonly detail: string };

/** Judges an event against the state that precedes it in the log. Pure and total. */
export function judge(state: TaskState, event: DecodedRecord): Judgement {
  if (event.type === 'Unreadable') return voided('unreadable', event.detail);
  if (state.seen.includes(event.id)) return { kind: 'duplicate' };
  if (event.type === 'TaskAccepted') return judgeAcceptance(state, event);
  if (event.type === 'TaskRejected') {
    return state.accepted || state.rejected ? voided('task-already-known', 'the task has a first event already') : valid;
  }
  if (state.rejected) return voided('task-rejected', 'the task was rejected');
  if (!state.accepted) return voided('unknown-task', 'no TaskAccepted precedes it');
  return judgeStep(state, event);
}

const valid: Judgement = { kind: 'valid' };

function voided(code: AnomalyCode, detail: string): Judgement {
  return { kind: 'void', code, detail };
}

function judgeAcceptance(state: TaskState, event: TaskEventOf<'TaskAccepted'>): Judgement {
  if (state.rejected) return voided('task-already-known', 'the task was rejected before');
  if (!state.accepted) return valid;
  if (state.accepted.requestDigest === event.data.requestDigest) return { kind: 'repeat' };
  return voided('idempotency-key-reused', 'the same key came with another request; the first one is the task');
}

type Step = Exclude<TaskEvent, { readonly type: 'TaskAccepted' | 'TaskRejected' }>;

function judgeStep(state: TaskState, event: Step): Judgement {
  switch (event.type) {
    case 'TaskDispatched':
      return judgeDispatch(state, event);
    case 'TaskExecutionStarted':
      return judgeStart(state, event);
    case 'TaskExecutionProgressed':
      return judgeProgress(state, event);
    case 'TaskExecutionCompleted':
      if (!attemptOf(state, event)) return noSuchAttempt(event);
      return state.end ? voided('outcome-after-end', `the task had ended: ${state.end.kind}`) : valid;
    case 'TaskExecutionFailed':
      return judgeFailure(state, event);
    case 'TaskRetryScheduled':
      return judgeRetry(state, event);
    case 'TaskRetryRequested':
      if (!state.end || state.end.kind === 'completed') {
        return voided('not-retryable', 'only a failed or cancelled task can be retried');
      }
      return state.retryRequest ? voided('request-pending', 'a retry is requested already') : valid;
    case 'TaskCancellationRequested':
      if (state.end) return voided('already-ended', `the task had ended: ${state.end.kind}`);
      return state.cancellation ? voided('request-pending', 'a cancellation is requested already') : valid;
    case 'TaskCancelled':
      if (state.end) return voided('already-ended', `the task had ended: ${state.end.kind}`);
      return state.cancellation ? valid : voided('not-requested', 'no cancellation was requested');
    case 'TaskFailedPermanently':
      return judgePermanentFailure(state, event);
    default:
      return event satisfies never;
  }
}

/** Legal anywhere once the attempt exists, after the end too: it is recorded after the broker's confirm. */
function judgeDispatch(state: TaskState, event: TaskEventOf<'TaskDispatched'>): Judgement {
  const attempt = attemptOf(state, event);
  if (!attempt) return noSuchAttempt(event);
  const conflict = attempt.dispatches.some((dispatch) => dispatch.issue === event.data.issue);
  return conflict ? voided('dispatch-conflict', `issue ${event.data.issue} was dispatched to another queue`) : valid;
}

function judgeStart(state: TaskState, event: TaskEventOf<'TaskExecutionStarted'>): Judgement {
  const attempt = attemptOf(state, event);
  if (!attempt) return noSuchAttempt(event);
  if (state.end) return voided('started-after-end', `the task had ended: ${state.end.kind}`);
  const known = state.attempts.some(({ executions }) => executions.some(({ executionId }) => executionId === event.data.executionId));
  return known ? voided('execution-conflict', 'this execution id started before') : valid;
}

/** Progress carries a number of its own, so that its copies are known without keeping every id. */
function judgeProgress(state: TaskState, event: TaskEventOf<'TaskExecutionProgressed'>): Judgement {
  const attempt = attemptOf(state, event);
  if (!attempt) return noSuchAttempt(event);
  const execution = attempt.executions.find(({ executionId }) => executionId === event.data.executionId);
  if (!execution) return voided('no-such-execution', 'no start of this execution precedes it');
  if (execution.progress && event.data.sequence <= execution.progress.sequence) return { kind: 'duplicate' };
  if (execution.finish) return voided('superseded-execution', 'the execution had finished');
  return state.end ? voided('outcome-after-end', `the task had ended: ${state.end.kind}`) : valid;
}

/** Counts only for the newest attempt, and only if its execution is the last one started, or it had no start. */
function judgeFailure(state: TaskState, event: TaskEventOf<'TaskExecutionFailed'>): Judgement {
  const attempt = attemptOf(state, event);
  if (!attempt) return noSuchAttempt(event);
  if (state.end) return voided('outcome-after-end', `the task had ended: ${state.end.kind}`);
  if (attempt !== newestAttempt(state)) return voided('superseded-attempt', `attempt ${state.attempts.length} exists`);
  if (attempt.failure) return voided('attempt-already-failed', 'the attempt has failed already');
  const { executionId } = event.data;
  const index = attempt.executions.findIndex((execution) => execution.executionId === executionId);
  const superseded = index >= 0 && index < attempt.executions.length - 1;
  return superseded ? voided('superseded-execution', 'the attempt was started again since') : valid;
}

function judgeRetry(state: TaskState, event: TaskEventOf<'TaskRetryScheduled'>): Judgement {
  const { attempt, reason } = event.data;
  if (attempt <= state.attempts.length) return voided('attempt-exists', `attempt ${attempt} exists already`);
  if (attempt !== state.attempts.length + 1) return voided('no-such-attempt', `the next attempt is ${state.attempts.length + 1}`);
  if (reason === 'operator') {
    return state.end && state.retryRequest ? valid : voided('not-requested', 'no retry is requested of an ended task');
  }
  if (state.end) return voided('already-ended', `the task had ended: ${state.end.kind}`);
  return newestAttempt(state)?.failure ? valid : voided('not-failed', `attempt ${state.attempts.length} has not failed`);
}

function judgePermanentFailure(state: TaskState, event: TaskEventOf<'TaskFailedPermanently'>): Judgement {
  if (isTerminal(state)) return voided('already-ended', 'the task had ended');
  const newest = newestAttempt(state);
  if (!newest || newest.failure) return valid;
  if (event.data.reason === 'reissue-limit') return valid;
  if (event.data.reason !== 'expired') return voided('not-failed', `attempt ${newest.attempt} has not failed`);
  return wasHandedOut(newest) ? voided('still-executing', `attempt ${newest.attempt} was handed out before`) : valid;
}

function attemptOf(state: TaskState, event: { readonly data: { readonly attempt: number } }) {
  return state.attempts[event.data.attempt - 1];
}

function noSuchAttempt(event: { readonly data: { readonly attempt: number } }): Judgement {
  return voided('no-such-attempt', `attempt ${event.data.attempt} does not exist yet`);
}

import { expect, it } from 'vitest';
import { history, type TaskHistory } from '../../test/support/task-history.ts';
import { evolve } from './evolve.ts';
import { judge, type Judgement } from './judgement.ts';
import type { DecodedRecord, TaskEvent } from './task-events.ts';
import { newestAttempt, phaseOf, type TaskPhase, type TaskState } from './task-state.ts';

/*
 * Every sequence of up to eight events of one task, in any order and with repetitions: two attempts, two executions
 * (e1 may run in attempt 1 only, e2 in either), cancellation, permanent failure and an operator's retry.
 * `evolve` knows nothing but the state, so sequences that lead to one state are followed once. Anomalies are left
 * out when states are compared: nothing else depends on them.
 */
const longest = 8;
const alphabet: readonly DecodedRecord[] = [
  (events: TaskHistory) => events.accepted(),
  (events: TaskHistory) => events.accepted({ requestDigest: 'digest-2' }),
  (events: TaskHistory) => events.rejected(),
  (events: TaskHistory) => events.dispatched(1),
  (events: TaskHistory) => events.dispatched(1, { issue: 2 }),
  (events: TaskHistory) => events.dispatched(2),
  (events: TaskHistory) => events.started(1, 'e1'),
  (events: TaskHistory) => events.started(1, 'e2'),
  (events: TaskHistory) => events.started(2, 'e2'),
  (events: TaskHistory) => events.progressed(1, 'e1', 1),
  (events: TaskHistory) => events.failed(1, 'e1'),
  (events: TaskHistory) => events.failed(1, null, { cause: 'unknown-type' }),
  (events: TaskHistory) => events.failed(2, 'e2'),
  (events: TaskHistory) => events.completed(1, 'e1'),
  (events: TaskHistory) => events.completed(1, 'e2'),
  (events: TaskHistory) => events.completed(2, 'e2'),
  (events: TaskHistory) => events.retryScheduled(2),
  (events: TaskHistory) => events.retryRequested('request-1'),
  (events: TaskHistory) => events.retryScheduled(2, { reason: 'operator' }),
  (events: TaskHistory) => events.cancellationRequested('request-2'),
  (events: TaskHistory) => events.cancelled(),
  (events: TaskHistory) => events.failedPermanently(),
  (events: TaskHistory) => events.failedPermanently({ reason: 'expired', attempts: 0 }),
  (events: TaskHistory) => events.failedPermanently({ attempts: 2 }),
].map((write) => write(history()).last);

it(`holds every invariant in all sequences of up to ${longest} events`, { timeout: 120_000 }, () => {
  const beginMs = performance.now();
  const known = new Set<string>();
  let frontier: readonly TaskState[] = [history().state];
  let steps = 0;
  for (let length = 1; length <= longest; length++) {
    const next: TaskState[] = [];
    for (const before of frontier) {
      for (const event of alphabet) {
        steps += 1;
        const judgement = judge(before, event);
        const after = evolve(before, event);
        const broken = brokenInvariant(before, event, judgement, after);
        // A plain throw: an expectation per step would take minutes.
        if (broken) throw new Error(`${broken}\n${event.type} (${judgement.kind}) on ${JSON.stringify(before, null, 2)}`);
        const key = keyOf(after);
        if (known.has(key)) continue;
        known.add(key);
        next.push(after);
      }
    }
    frontier = next;
  }
  const seconds = ((performance.now() - beginMs) / 1_000).toFixed(1);
  const sequences = (alphabet.length ** longest).toExponential(1);
  process.stdout.write(`small scope: ${sequences} sequences, ${known.size} states, ${steps} steps, ${seconds} s\n`);
  expect(known.size).toBeGreaterThan(7_000);
});

/** Two states with one key have the same future. The order of `seen` is of no consequence. */
function keyOf(state: TaskState): string {
  return JSON.stringify({ ...state, anomalies: [], seen: [...state.seen].sort() });
}

function brokenInvariant(before: TaskState, event: DecodedRecord, judgement: Judgement, after: TaskState): string | null {
  if (event.type === 'Unreadable') return 'the alphabet holds an unreadable record';
  if (judgement.kind === 'valid') return brokenStep(before, event, after) ?? brokenState(after);
  const changed = JSON.stringify({ ...before, anomalies: [] }) !== JSON.stringify({ ...after, anomalies: [] });
  if (changed) return 'an event that does not count changed the state';
  if (judgement.kind !== 'void') return after === before ? null : 'a duplicate or repeat changed the state';
  const shown = after.anomalies.some(({ code, eventId }) => code === judgement.code && eventId === event.id);
  return shown ? null : 'a void event is not shown';
}

function brokenStep(before: TaskState, event: TaskEvent, after: TaskState): string | null {
  const { type } = event;
  if (!after.seen.includes(event.id) && type !== 'TaskExecutionProgressed') return 'a valid event is not remembered';
  const terminal = type === 'TaskExecutionCompleted' || type === 'TaskCancelled' || type === 'TaskFailedPermanently';
  if (terminal && (before.end !== null || after.end?.eventId !== event.id)) return 'a second terminal event counted in one opening';
  if (!terminal && before.end === null && after.end !== null) return 'something else ended the task';
  const reopens = type === 'TaskRetryScheduled' && event.data.reason === 'operator';
  if (before.end && after.end === null && !reopens) return 'the task was re-opened without an operator';
  if (before.end?.kind === 'completed' && after.end?.kind !== 'completed') return 'completed was not final';
  if (reopens && (before.retryRequest === null || after.budgetFrom !== after.attempts.length)) return 'a re-opening without request or fresh budget';
  const grown = after.attempts.length - before.attempts.length;
  if (grown !== (type === 'TaskAccepted' || type === 'TaskRetryScheduled' ? 1 : 0)) return 'attempts grew by something else than acceptance or a retry';
  if (type === 'TaskExecutionFailed') return brokenFailure(before, event.data);
  return null;
}

/** The failure that counts belongs to the newest attempt, and to its last started execution or to none. */
function brokenFailure(before: TaskState, { attempt, executionId }: { readonly attempt: number; readonly executionId?: string }): string | null {
  const newest = newestAttempt(before);
  if (newest?.attempt !== attempt || newest.failure) return 'a failure counted that is not the first of the newest attempt';
  const started = newest.executions.some((execution) => execution.executionId === executionId);
  const last = newest.executions.at(-1);
  return started && last?.executionId !== executionId ? 'a failure counted of an execution that was started again' : null;
}

function brokenState(state: TaskState): string | null {
  const { attempts, accepted, rejected, end } = state;
  if (attempts.some(({ attempt }, index) => attempt !== index + 1)) return 'attempts are not contiguous';
  if ((accepted !== null) !== attempts.length > 0) return 'attempts without acceptance, or the other way round';
  if (accepted && rejected) return 'accepted and rejected';
  if (attempts.slice(0, state.budgetFrom - 1).length > 0 && state.budgetFrom > attempts.length) return 'the budget begins after the last attempt';
  const ids = attempts.flatMap(({ executions }) => executions.map(({ executionId }) => executionId));
  if (new Set(ids).size !== ids.length) return 'an execution started twice';
  if (attempts.slice(0, -1).some(({ attempt, failure }) => failure === null && attempt + 1 !== state.budgetFrom)) return 'a retry followed no failure';
  if (state.retryRequest && (end === null || end.kind === 'completed')) return 'a retry is pending of a task that cannot be retried';
  return brokenPhase(state);
}

function brokenPhase(state: TaskState): string | null {
  const phase = phaseOf(state);
  const newest = newestAttempt(state);
  const expected: ReadonlyArray<TaskPhase | null> = state.rejected
    ? ['rejected']
    : state.end
      ? [state.end.kind]
      : !newest
        ? [null]
        : newest.failure || (newest.attempt > 1 && newest.dispatches.length + newest.executions.length === 0)
          ? ['retrying']
          : ['accepted', 'dispatched', 'running'];
  if (!expected.includes(phase)) return `phase ${phase}, expected one of ${expected.join()}`;
  if (phase === 'running' && newest?.executions.length === 0) return 'running without an execution';
  return phase === 'accepted' && newest?.dispatches.length !== 0 ? 'accepted although dispatched' : null;
}

import { describe, expect, it } from 'vitest';
import { history, second, t0, type TaskHistory } from '../../test/support/task-history.ts';
import { evolve, fold } from './evolve.ts';
import { latestInstantMs } from './instant.ts';
import { judge } from './judgement.ts';
import { executionsInDoubt, initialState, phaseOf, type AnomalyCode } from './task-state.ts';

const accepted = history().accepted();
const dispatched = accepted.dispatched(1);
const running = dispatched.started(1, 'e1');
const failedOnce = running.failed(1, 'e1');
const secondAttempt = failedOnce.retryScheduled(2);
const completed = running.completed(1, 'e1');
const failedForGood = failedOnce.failedPermanently();
const cancelled = accepted.cancellationRequested().cancelled();
const reopened = failedForGood.retryRequested().retryScheduled(2, { reason: 'operator' });

describe('the phases of a task', () => {
  const unstarted = failedOnce.retryScheduled(2).dispatched(2);
  it.each([
    ['nothing known', history(), null],
    ['TaskAccepted', accepted, 'accepted'],
    ['TaskRejected', history().rejected(), 'rejected'],
    ['a dispatch', dispatched, 'dispatched'],
    ['a start', running, 'running'],
    ['a start without its dispatch', accepted.started(1, 'e1'), 'running'],
    ['a failed execution', failedOnce, 'retrying'],
    ['a scheduled retry', secondAttempt, 'retrying'],
    ['the dispatch of the retry', unstarted, 'dispatched'],
    ['the start of the retry', unstarted.started(2, 'e2'), 'running'],
    ['a completion', completed, 'completed'],
    ['a permanent failure', failedForGood, 'failed'],
    ['a cancellation', cancelled, 'cancelled'],
    ["an operator's retry", reopened, 'retrying'],
    ['a requested cancellation, not yet decided', running.cancellationRequested(), 'running'],
  ] as const)('after %s', (_name, events, phase) => {
    expect(phaseOf(events.state)).toBe(phase);
  });
});

describe('first valid event wins', () => {
  it('takes a copy of a valid event for a duplicate that changes nothing', () => {
    expectVerdict(completed.again(), 'duplicate');
    const { state } = completed;
    expect(evolve(state, completed.last)).toBe(state);
  });

  it('judges a repeat of a void event anew: a dispatch that came before its attempt counts when it comes again', () => {
    const early = failedOnce.dispatched(2);
    expectVoid(early, 'no-such-attempt');
    const late = early.retryScheduled(2);
    const again = late.raw(early.records.at(-1)!);
    expectVerdict(again, 'valid');
    expect(again.state.attempts[1]?.dispatches).toHaveLength(1);
  });

  it('keeps a void event as an anomaly once, however often it comes', () => {
    const late = completed.failed(1, 'e1');
    expect(late.again().again().state.anomalies).toEqual([
      { code: 'outcome-after-end', eventId: late.lastId, detail: 'the task had ended: completed' },
    ]);
  });

  it('keeps at most 100 anomalies', () => {
    let events = completed;
    for (let index = 0; index < 120; index++) events = events.failed(1, `zombie-${index}`);
    expect(events.state.anomalies).toHaveLength(100);
  });
});

describe('TaskAccepted', () => {
  it('makes attempt 1 exist, due at once', () => {
    expect(accepted.state.attempts).toMatchObject([{ attempt: 1, dueAtMs: t0, reason: 'accepted', causeId: accepted.lastId }]);
  });

  it('counts a delay and an expiry from its own time', () => {
    const delayed = history().accepted({ options: { delayMs: 5_000, expiresInMs: 60_000 } });
    expect(delayed.state.accepted).toMatchObject({ notBeforeMs: second(5), expiresAtMs: second(60) });
    expect(delayed.state.attempts[0]?.dueAtMs).toBe(second(5));
  });

  it('caps a due time and an expiry by the last instant that can be written', () => {
    const far = history().accepted({ options: { delayMs: 1e300, expiresInMs: 1e300 } });
    expect(far.state.accepted).toMatchObject({ notBeforeMs: latestInstantMs, expiresAtMs: latestInstantMs });
  });

  it('takes instants as they are', () => {
    const delayed = history().accepted({ options: { notBeforeMs: second(7), expiresAtMs: second(9) } });
    expect(delayed.state.accepted).toMatchObject({ notBeforeMs: second(7), expiresAtMs: second(9) });
  });

  it('is a repeat without an anomaly when the same request comes again, and never moves the due time', () => {
    const first = history().accepted({ options: { delayMs: 5_000 } });
    const repeated = first.at(second(100)).accepted({ options: { delayMs: 5_000 }, submitter: 'somebody else' });
    expectVerdict(repeated, 'repeat');
    expect(repeated.state).toEqual(first.state);
  });

  it('is a repeat after the end, too: a repeated submission never runs again', () => {
    const repeated = completed.accepted({ submitter: 'somebody else' });
    expectVerdict(repeated, 'repeat');
    expect(repeated.state).toEqual(completed.state);
  });

  it('is void with another request under the same key: the first record is the task', () => {
    expectVoid(running.accepted({ requestDigest: 'digest-2' }), 'idempotency-key-reused');
  });

  it('is void after a rejection of the same id', () => {
    expectVoid(history().rejected().accepted(), 'task-already-known');
  });
});

describe('TaskRejected', () => {
  it('ends the task and keeps why', () => {
    expect(history().rejected('options-invalid').state.rejected).toMatchObject({ code: 'options-invalid', timeMs: t0, type: 'email.welcome' });
  });

  it('is void once the task is accepted', () => expectVoid(accepted.rejected(), 'task-already-known'));
  it('counts once: its id is the task id alone, so another one is its duplicate', () => {
    expectVerdict(history().rejected().rejected('too-deep'), 'duplicate');
  });
  it('makes everything after it void', () => expectVoid(history().rejected().dispatched(1), 'task-rejected'));
});

describe('a request or step before TaskAccepted is void', () => {
  it.each([
    ['TaskCancellationRequested', history().cancellationRequested()],
    ['TaskRetryRequested', history().retryRequested()],
    ['TaskDispatched', history().dispatched(1)],
    ['TaskExecutionStarted', history().started(1, 'e1')],
    ['TaskExecutionCompleted', history().completed(1, 'e1')],
    ['TaskFailedPermanently', history().failedPermanently()],
  ] as const)('%s', (_name, events) => expectVoid(events, 'unknown-task'));
});

describe('TaskDispatched', () => {
  it('is legal after the start that it caused', () => {
    expect(accepted.started(1, 'e1').dispatched(1).state.attempts[0]?.dispatches).toHaveLength(1);
  });

  it('is legal after the terminal event', () => {
    const late = accepted.started(1, 'e1').completed(1, 'e1').dispatched(1);
    expectVerdict(late, 'valid');
    expect(phaseOf(late.state)).toBe('completed');
  });

  it('is legal for an older attempt', () => expectVerdict(accepted.started(1, 'e1').failed(1, 'e1').retryScheduled(2).dispatched(1), 'valid'));
  it('is void for an attempt that does not exist', () => expectVoid(running.dispatched(2), 'no-such-attempt'));

  it('keeps every issue of an attempt, and why it was issued again', () => {
    const reissued = dispatched.dispatched(1, { issue: 2, reason: 'presumed lost' }).dispatched(1, { issue: 3, reason: 'queue lost' });
    expect(reissued.state.attempts[0]?.dispatches).toEqual([
      { timeMs: second(1), queue: 'default', issue: 1, reason: null },
      { timeMs: second(2), queue: 'default', issue: 2, reason: 'presumed lost' },
      { timeMs: second(3), queue: 'default', issue: 3, reason: 'queue lost' },
    ]);
  });

  it('is void when the same issue stands in the log with another queue', () => {
    expectVoid(dispatched.dispatched(1, { queue: 'heavy' }), 'dispatch-conflict');
  });
});

describe('TaskExecutionStarted', () => {
  it('counts before its dispatch is recorded', () => expectVerdict(accepted.started(1, 'e1'), 'valid'));
  it('counts for a second execution of the same attempt', () => {
    expect(running.started(1, 'e2').state.attempts[0]?.executions.map(({ executionId }) => executionId)).toEqual(['e1', 'e2']);
  });

  it('is void after the end: a late worker changes nothing', () => {
    expectVoid(completed.started(1, 'e2'), 'started-after-end');
    expectVoid(cancelled.started(1, 'e1'), 'started-after-end');
    expectVoid(failedForGood.started(1, 'e2'), 'started-after-end');
  });

  it('is void for an attempt that does not exist yet', () => expectVoid(running.started(2, 'e2'), 'no-such-attempt'));
  it('is void when the execution id stands for another start', () => {
    expectVoid(secondAttempt.started(2, 'e1'), 'execution-conflict');
  });
});

describe('TaskExecutionProgressed', () => {
  const halfWay = running.progressed(1, 'e1', 1, 0.5);
  it('shows the newest sequence', () => {
    expect(halfWay.progressed(1, 'e1', 2, 0.9).state.attempts[0]?.executions[0]?.progress).toMatchObject({ sequence: 2, fraction: 0.9 });
  });

  it('is a duplicate when its sequence is not newer', () => {
    expectVerdict(halfWay.again(), 'duplicate');
    expectVerdict(running.progressed(1, 'e1', 5).progressed(1, 'e1', 4), 'duplicate');
  });

  it('stays out of the list of seen ids, which would grow without a bound', () => {
    expect(halfWay.state.seen).toEqual(running.state.seen);
  });

  it('is void without a start of its execution', () => expectVoid(running.progressed(1, 'e9', 1), 'no-such-execution'));
  it('is void for an attempt that does not exist', () => expectVoid(running.progressed(2, 'e1', 1), 'no-such-attempt'));
  it('is void after its execution finished', () => expectVoid(failedOnce.progressed(1, 'e1', 1), 'superseded-execution'));
  it('is void after the end of the task', () => {
    expectVoid(running.cancellationRequested().cancelled().progressed(1, 'e1', 1), 'outcome-after-end');
  });
});

describe('TaskExecutionCompleted', () => {
  it('ends the task', () => {
    expect(completed.state.end).toMatchObject({ kind: 'completed', attempt: 1, executionId: 'e1', eventId: completed.lastId });
  });

  it('of an older attempt ends the task, too', () => {
    const late = secondAttempt.dispatched(2).started(2, 'e2').completed(1, 'e1');
    expectVerdict(late, 'valid');
    expect(late.state.end).toMatchObject({ kind: 'completed', attempt: 1 });
  });

  it('of an older execution of the attempt ends the task', () => {
    expect(running.started(1, 'e2').completed(1, 'e1').state.end).toMatchObject({ executionId: 'e1' });
  });

  it('without a recorded start ends the task', () => expectVerdict(dispatched.completed(1, 'e1'), 'valid'));
  it('is legal while a cancellation is requested but not decided', () => {
    expect(phaseOf(running.cancellationRequested().completed(1, 'e1').state)).toBe('completed');
  });

  it('is void after the end', () => {
    expectVoid(completed.completed(1, 'e2'), 'outcome-after-end');
    expectVoid(failedForGood.completed(1, 'e1'), 'outcome-after-end');
    expectVoid(running.cancellationRequested().cancelled().completed(1, 'e1'), 'outcome-after-end');
  });

  it('is void for an attempt that does not exist', () => expectVoid(running.completed(2, 'e2'), 'no-such-attempt'));

  it('of an attempt before the re-opening ends the re-opened task', () => {
    expect(reopened.completed(1, 'e1').state.end).toMatchObject({ kind: 'completed', attempt: 1 });
  });
});

describe('TaskExecutionFailed', () => {
  it('counts for the last started execution of the newest attempt', () => {
    expect(failedOnce.state.attempts[0]?.failure).toMatchObject({ eventId: failedOnce.lastId, cause: 'handler', timeMs: second(3) });
  });

  it('counts without a start', () => {
    expectVerdict(dispatched.failed(1, null, { cause: 'unknown-type' }), 'valid');
    expectVerdict(running.failed(1, null, { cause: 'crash-loop', retryable: false }), 'valid');
  });

  it('is void for an execution that was started again since', () => {
    expectVoid(running.started(1, 'e2').failed(1, 'e1'), 'superseded-execution');
  });

  it('is void for an older attempt', () => expectVoid(secondAttempt.failed(1, 'e1', { cause: 'timeout' }), 'superseded-attempt'));
  it('is void for an attempt that does not exist', () => expectVoid(running.failed(2, 'e2'), 'no-such-attempt'));
  it('is void for an attempt that has failed already', () => {
    expectVoid(failedOnce.failed(1, 'e1', { cause: 'timeout' }), 'attempt-already-failed');
  });

  it('is void after the end', () => {
    expectVoid(completed.failed(1, 'e1'), 'outcome-after-end');
    expectVoid(running.cancellationRequested().cancelled().failed(1, 'e1'), 'outcome-after-end');
  });

  it('keeps no stack in the state', () => {
    expect(JSON.stringify(failedOnce.state)).not.toContain('stack');
  });
});

describe('TaskRetryScheduled', () => {
  it('makes the next attempt exist', () => {
    expect(secondAttempt.state.attempts[1]).toMatchObject({ attempt: 2, reason: 'failed', causeId: secondAttempt.lastId });
  });

  it('is void without a failure', () => expectVoid(running.retryScheduled(2), 'not-failed'));
  it('is void for an attempt that exists', () => expectVoid(secondAttempt.retryScheduled(2, { reason: 'operator' }), 'attempt-exists'));
  it('is void when it would leave a gap', () => expectVoid(failedOnce.retryScheduled(3), 'no-such-attempt'));
  it('is void after the end', () => expectVoid(failedForGood.retryScheduled(2), 'already-ended'));
  it("is void as an operator's without a request", () => {
    expectVoid(failedForGood.retryScheduled(2, { reason: 'operator' }), 'not-requested');
  });
  it("is void as an operator's while the task is open", () => {
    expectVoid(failedOnce.retryScheduled(2, { reason: 'operator' }), 'not-requested');
  });
});

describe('an operator retries a task', () => {
  it('re-opens a failed task with a fresh budget, and attempt numbers go on', () => {
    expect(reopened.state).toMatchObject({ end: null, retryRequest: null, budgetFrom: 2, budgetFromMs: second(6) });
    expect(reopened.state.attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it('re-opens a cancelled task and forgets the cancellation', () => {
    const again = cancelled.retryRequested('request-2').retryScheduled(2, { reason: 'operator' });
    expect(again.state).toMatchObject({ end: null, cancellation: null, budgetFrom: 2 });
    expectVerdict(again.cancellationRequested('request-3'), 'valid');
  });

  it('may happen again after the next end', () => {
    const again = reopened.dispatched(2).started(2, 'e2').failed(2, 'e2').failedPermanently({ attempts: 2 }).retryRequested('request-2');
    expectVerdict(again, 'valid');
    expect(again.retryScheduled(3, { reason: 'operator' }).state.budgetFrom).toBe(3);
  });

  it('leaves the task ended until the retry is scheduled', () => {
    expect(phaseOf(failedForGood.retryRequested().state)).toBe('failed');
  });

  it('is void while the task is open', () => expectVoid(running.retryRequested(), 'not-retryable'));
  it('is void for a completed task: completed is final', () => expectVoid(completed.retryRequested(), 'not-retryable'));
  it('is void while one is pending', () => expectVoid(failedForGood.retryRequested().retryRequested('request-2'), 'request-pending'));
});

describe('a cancellation', () => {
  it('is pending until it is decided', () => {
    const requested = running.cancellationRequested();
    expect(requested.state.cancellation).toMatchObject({ eventId: requested.lastId, by: 'ada', timeMs: second(3) });
  });

  it('ends the task', () => expect(cancelled.state.end).toMatchObject({ kind: 'cancelled', attempt: 0, executionId: null }));
  it('names the attempt that was running', () => {
    expect(running.cancellationRequested().cancelled().state.end).toMatchObject({ attempt: 1 });
  });
  it('is void when requested after the end', () => {
    expectVoid(completed.cancellationRequested(), 'already-ended');
    expectVoid(cancelled.cancellationRequested('request-2'), 'already-ended');
  });
  it('is void when requested twice', () => expectVoid(running.cancellationRequested().cancellationRequested('request-2'), 'request-pending'));
  it('is void without a request', () => expectVoid(running.cancelled(), 'not-requested'));
  it('is void after the end', () => expectVoid(running.cancellationRequested().completed(1, 'e1').cancelled(), 'already-ended'));
});

describe('TaskFailedPermanently', () => {
  it('ends a task whose newest attempt failed', () => {
    expect(failedForGood.state.end).toMatchObject({ kind: 'failed', reason: 'attempts-exhausted', attempt: 1 });
  });

  it('counts an attempt that failed without a start or a recorded dispatch as made', () => {
    const shelved = accepted.failed(1, null, { cause: 'unknown-type', retryable: false }).failedPermanently({ reason: 'not-retryable' });
    expect(shelved.state.end).toMatchObject({ attempt: 1 });
  });

  it('is void while the newest attempt has not failed', () => expectVoid(secondAttempt.failedPermanently(), 'not-failed'));
  it('is void after the end', () => expectVoid(completed.failedPermanently(), 'already-ended'));

  it('expires a task that was not handed out', () => {
    expect(accepted.failedPermanently({ reason: 'expired', attempts: 0 }).state.end).toMatchObject({ reason: 'expired', attempt: 0 });
  });

  it('is void as an expiry of an attempt that was handed out: a running task goes on', () => {
    expectVoid(dispatched.failedPermanently({ reason: 'expired' }), 'still-executing');
    expectVoid(accepted.started(1, 'e1').failedPermanently({ reason: 'expired' }), 'still-executing');
  });

  it('gives up a job that was lost too often without a failure', () => {
    expectVerdict(dispatched.failedPermanently({ reason: 'reissue-limit' }), 'valid');
  });
});

describe('records that are no known event', () => {
  it.each([
    ['an unknown event type', running.ofNewerBuild('ce_type')],
    ['a newer schema version', running.ofNewerBuild('ce_dataschema')],
  ] as const)('%s freezes its task and is shown', (_name, events) => {
    expect(events.state).toEqual({ ...running.state, frozen: true, anomalies: [expect.objectContaining({ code: 'unreadable' })] });
  });

  it('freezes even when no anomaly can be kept any more', () => {
    let events = completed;
    for (let index = 0; index < 100; index++) events = events.failed(1, `zombie-${index}`);
    expect(events.ofNewerBuild().state).toMatchObject({ frozen: true });
  });

  it('garbage under the key is kept as an anomaly and changes nothing else', () => {
    expectVoid(running.garbage(), 'unreadable');
    expect(running.garbage().state.frozen).toBe(false);
  });

  it('a frozen task goes on folding, so that it is shown as far as it can be read', () => {
    expect(phaseOf(running.ofNewerBuild().completed(1, 'e1').state)).toBe('completed');
  });
});

describe('executions in doubt', () => {
  const inDoubt = (events: TaskHistory) => executionsInDoubt(events.state).map(({ execution }) => execution.executionId);

  it.each([
    ['the only start is still running', running, []],
    ['a finished execution', completed, []],
    ['the attempt was started again', running.started(1, 'e2'), ['e1']],
    ['a later attempt exists', running.started(1, 'e2').failed(1, 'e2').retryScheduled(2), ['e1']],
    ['the task was cancelled meanwhile', running.cancellationRequested().cancelled(), ['e1']],
    ['the attempt failed without a start', running.failed(1, null, { cause: 'crash-loop' }), ['e1']],
    ['another execution completed the task', running.started(1, 'e2').completed(1, 'e2'), ['e1']],
  ] as const)('when %s', (_name, events, expected) => {
    expect(inDoubt(events)).toEqual(expected);
  });
});

describe('the state', () => {
  it('of no events knows nothing', () => expect(fold('task-1', [])).toEqual(initialState('task-1')));
  it('survives JSON unchanged', () => expect(JSON.parse(JSON.stringify(reopened.state))).toEqual(reopened.state));
});

/** What the last event of a history is to the state that it meets. */
function verdictOf(events: TaskHistory): string {
  const judgement = judge(fold(events.taskId, events.events.slice(0, -1)), events.last);
  return judgement.kind === 'void' ? judgement.code : judgement.kind;
}

function expectVerdict(events: TaskHistory, verdict: 'valid' | 'duplicate' | 'repeat'): void {
  expect(verdictOf(events)).toBe(verdict);
}

/** The last event is void: kept as an anomaly, nothing else changed. */
function expectVoid(events: TaskHistory, code: AnomalyCode): void {
  const before = fold(events.taskId, events.events.slice(0, -1));
  expect(verdictOf(events)).toBe(code);
  expect(events.state).toEqual({
    ...before,
    anomalies: [...before.anomalies, { code, eventId: events.last.id, detail: expect.any(String) }],
  });
}

import { describe, expect, it } from 'vitest';
import { history, second, t0, type TaskHistory } from '../../test/support/task-history.ts';
import { decide, defaultDispatchPolicy, type Decision, type PresumedLost } from './dispatch-policy.ts';
import { latestInstantMs } from './instant.ts';
import { defaultRetryPolicy, retryDelayMs, type RetryPolicy } from './retry-schedule.ts';
import type { TaskExecutionFailedData } from './task-events.ts';

const accepted = history().accepted();
const running = accepted.dispatched(1).started(1, 'e1');
const failedOnce = running.failed(1, 'e1');
const failedForGood = failedOnce.failedPermanently();
const oneAttempt: RetryPolicy = { ...defaultRetryPolicy, maxAttempts: 1 };
const dispatchOf = (attempt: number, queue = 'default'): Decision => ({ type: 'Dispatch', attempt, queue, issue: 1 });

describe('dispatching', () => {
  it('dispatches an accepted task at once', () => given(accepted).when(t0).then(dispatchOf(1)));
  it('uses the queue that the task was accepted for', () => {
    given(history().accepted({ options: { queue: 'heavy' } })).when(t0).then(dispatchOf(1, 'heavy'));
  });
  it('decides nothing for an unknown task', () => given(history()).when(t0).then());
  it('decides nothing for a rejected task', () => given(history().rejected()).when(t0).then());
  it('decides nothing once the attempt is dispatched', () => given(accepted.dispatched(1)).when(second(99)).then());
  it('decides nothing while an execution runs', () => given(running).when(second(99)).then());
  it('decides nothing for a completed task', () => given(running.completed(1, 'e1')).when(second(99)).then());
  it('decides nothing for a failed task', () => given(failedForGood).when(second(99)).then());
  it('decides nothing for a repeated TaskAccepted of a finished task', () => {
    given(running.completed(1, 'e1').accepted({ submitter: 'again' })).when(second(99)).then();
  });
  it('dispatches a retry under the next attempt number', () => given(failedOnce.retryScheduled(2)).when(second(9)).then(dispatchOf(2)));

  it('records the dispatch of an attempt that runs without one, with queue and issue copied, and publishes nothing', () => {
    given(accepted.started(1, 'e1', { queue: 'heavy', issue: 3 }))
      .when(second(9))
      .then({ type: 'RecordDispatch', attempt: 1, queue: 'heavy', issue: 3 });
  });

  it('records a missing dispatch once, however many executions ran it', () => {
    given(accepted.started(1, 'e1').started(1, 'e2')).when(second(9)).then({ type: 'RecordDispatch', attempt: 1, queue: 'default', issue: 1 });
  });

  it('records a missing dispatch after the end, too', () => {
    given(accepted.started(1, 'e1').completed(1, 'e1')).when(second(9)).then({ type: 'RecordDispatch', attempt: 1, queue: 'default', issue: 1 });
  });

  it('records the missing dispatch of an attempt that failed without a start, as it decides dispatches itself', () => {
    given(history().accepted({ options: { queue: 'heavy' } }).failed(1, null, { cause: 'invalid-job', retryable: false }))
      .when(second(9))
      .then({ type: 'RecordDispatch', attempt: 1, queue: 'heavy', issue: 1 }, { type: 'FailPermanently', reason: 'not-retryable' });
  });

  it('records the missing dispatch of an attempt whose outcome is all that is known of it', () => {
    given(accepted.completed(1, 'e1')).when(second(9)).then({ type: 'RecordDispatch', attempt: 1, queue: 'default', issue: 1 });
  });

  it('records the missing dispatch of an older attempt beside the next step', () => {
    given(accepted.started(1, 'e1').failed(1, 'e1').retryScheduled(2))
      .when(second(9))
      .then({ type: 'RecordDispatch', attempt: 1, queue: 'default', issue: 1 }, dispatchOf(2));
  });
});

describe('time', () => {
  const delayed = history().accepted({ options: { notBeforeMs: second(10) } });

  it('wakes when a delayed task is due', () => given(delayed).when(second(9)).then({ type: 'WakeAt', timeMs: second(10) }));
  it('dispatches a delayed task when it is due', () => given(delayed).when(second(10)).then(dispatchOf(1)));
  it('counts a delay from the acceptance', () => {
    given(history().accepted({ options: { delayMs: 2_500 } })).when(t0).then({ type: 'WakeAt', timeMs: t0 + 2_500 });
  });
  it('wakes at the expiry when that comes before the due time', () => {
    given(history().accepted({ options: { notBeforeMs: second(10), expiresAtMs: second(5) } })).when(t0).then({ type: 'WakeAt', timeMs: second(5) });
  });
  it('wakes when a retry is due', () => {
    given(failedOnce.retryScheduled(2, { dueAtMs: second(60) })).when(second(9)).then({ type: 'WakeAt', timeMs: second(60) });
  });

  it.each([0, 1, 99_999_999])('schedules the same retry whenever it is asked: %i ms later', (laterMs) => {
    expect(decide(failedOnce.state, defaultDispatchPolicy, second(3) + laterMs)).toEqual(
      decide(failedOnce.state, defaultDispatchPolicy, second(3)),
    );
  });
});

describe('a failed attempt', () => {
  const retry = (events: TaskHistory, dueAtMs: number, attempt = 2): Decision => ({
    type: 'ScheduleRetry',
    attempt,
    dueAtMs,
    reason: 'failed',
    causeId: events.lastId,
  });

  it('is retried after the delay of the policy, counted from the failure', () => {
    given(failedOnce).when(second(50)).then(retry(failedOnce, second(3) + retryDelayMs(defaultRetryPolicy, 'task-1', 1)));
  });

  it('is retried when the handler says so', () => {
    const hinted = running.failed(1, 'e1', { retryAfterMs: 45_000 });
    given(hinted).when(second(50)).then(retry(hinted, second(48)));
  });

  it("is never retried later than the policy's longest delay", () => {
    const hinted = running.failed(1, 'e1', { retryAfterMs: 9_999_999 });
    given(hinted).when(second(50)).then(retry(hinted, second(3) + 300_000));
  });

  it('is due no later than an instant that can be recorded: else its retry would be scheduled again for ever', () => {
    const late = accepted.dispatched(1).started(1, 'e1').at(latestInstantMs).failed(1, 'e1');
    given(late).when(latestInstantMs).then(retry(late, latestInstantMs));
    const next = late.at(latestInstantMs).decided(retry(late, latestInstantMs));
    expect(next.last).toMatchObject({ type: 'TaskRetryScheduled', data: { dueAtMs: latestInstantMs } });
  });

  it('is retried after a timeout', () => {
    given(running.failed(1, 'e1', { cause: 'timeout' })).when(second(50)).then({ type: 'ScheduleRetry', attempt: 2 });
  });

  it('fails permanently when it was the last one allowed', () => {
    const exhausted = history().accepted({ retry: oneAttempt }).dispatched(1).started(1, 'e1').failed(1, 'e1');
    given(exhausted)
      .when(second(50))
      .then({ type: 'FailPermanently', reason: 'attempts-exhausted', attempts: 1, causeId: exhausted.lastId });
  });

  it('fails permanently after three attempts by default', () => {
    const third = failedOnce.retryScheduled(2).dispatched(2).started(2, 'e2').failed(2, 'e2').retryScheduled(3).dispatched(3).started(3, 'e3');
    given(third.failed(3, 'e3')).when(second(50)).then({ type: 'FailPermanently', reason: 'attempts-exhausted', attempts: 3 });
  });

  it('fails permanently when the error is not retryable', () => {
    given(running.failed(1, 'e1', { retryable: false })).when(second(50)).then({ type: 'FailPermanently', reason: 'not-retryable', attempts: 1 });
  });

  it.each(['crash-loop', 'delivery-limit'] as const)('is never retried after a %s, whatever the error says', (cause) => {
    given(running.failed(1, null, { cause, retryable: true })).when(second(50)).then({ type: 'FailPermanently', reason: cause, attempts: 1 });
  });

  it('is judged by the failure that counts, not by a void one', () => {
    const zombie = running.started(1, 'e2').failed(1, 'e1', { retryable: false });
    given(zombie).when(second(50)).then();
  });
});

describe('a type that no worker knows yet', () => {
  const unknownAt = (timeMs: number, events = history().accepted({ retry: oneAttempt })) =>
    events.dispatched(1).at(timeMs).failed(1, null, { cause: 'unknown-type' });

  it('does not use up an attempt in the first hour after the acceptance', () => {
    given(unknownAt(t0 + 3_599_999)).when(second(9_999)).then({ type: 'ScheduleRetry', attempt: 2, reason: 'failed' });
  });

  // A delay of nothing would run it, free of charge, as often as queue and log can.
  it.each([
    ['1 ms', { baseMs: 1, maxMs: 300_000 }, 1_000],
    ['0 ms', { baseMs: 0, maxMs: 0 }, 1_000],
    ['1 s, halved by its jitter', { baseMs: 1_000, maxMs: 300_000 }, 1_000],
    ['1 min', { baseMs: 60_000, maxMs: 300_000 }, 44_859],
  ])('is not tried again within a second, with a base of %s', (_name, delays, expectedMs) => {
    const unknown = unknownAt(second(7), history().accepted({ retry: { ...oneAttempt, ...delays } }));
    given(unknown).when(second(9_999)).then({ type: 'ScheduleRetry', attempt: 2, dueAtMs: second(7) + expectedMs });
  });

  it('uses up an attempt after the first hour', () => {
    given(unknownAt(t0 + 3_600_000)).when(second(9_999)).then({ type: 'FailPermanently', reason: 'attempts-exhausted', attempts: 1 });
  });

  it('gets a fresh hour when an operator retries it', () => {
    const again = unknownAt(t0 + 3_600_000)
      .failedPermanently()
      .retryRequested()
      .retryScheduled(2, { reason: 'operator' })
      .dispatched(2)
      .failed(2, null, { cause: 'unknown-type' });
    given(again).when(second(9_999)).then({ type: 'ScheduleRetry', attempt: 3 });
  });

  it.each(['handler', 'timeout', 'invalid-job'] as const)('is the only cause with a grace hour: not %s', (cause: TaskExecutionFailedData['cause']) => {
    given(history().accepted({ retry: oneAttempt }).dispatched(1).failed(1, null, { cause }))
      .when(second(50))
      .then({ type: 'FailPermanently', reason: 'attempts-exhausted' });
  });
});

describe('expiry', () => {
  const expiring = history().accepted({ options: { expiresInMs: 10_000 } });
  const expired = { type: 'FailPermanently', reason: 'expired' } as const;

  it('leaves a task alone before its time', () => given(expiring).when(second(10) - 1).then(dispatchOf(1)));
  it('ends a task that was not dispatched in time', () => {
    given(expiring).when(second(10)).then({ ...expired, attempts: 0, causeId: expiring.lastId });
  });
  it('never ends a dispatched attempt', () => given(expiring.dispatched(1)).when(second(99)).then());
  it('never ends a running attempt', () => given(expiring.dispatched(1).started(1, 'e1')).when(second(99)).then());
  it('ends the task after a later failure instead of a retry', () => {
    const late = expiring.dispatched(1).at(second(11)).started(1, 'e1').failed(1, 'e1');
    given(late).when(second(99)).then({ ...expired, attempts: 1, causeId: late.lastId });
  });
  it('ends the task at once when the retry would come too late', () => {
    const hinted = expiring.dispatched(1).started(1, 'e1').failed(1, 'e1', { retryAfterMs: 7_000 });
    given(hinted).when(second(4)).then({ ...expired, attempts: 1 });
  });
  it('retries while there is time', () => {
    given(expiring.dispatched(1).started(1, 'e1').failed(1, 'e1', { retryAfterMs: 6_999 })).when(second(4)).then({ type: 'ScheduleRetry' });
  });
  it('ends a scheduled retry that was not dispatched in time', () => {
    const waiting = expiring.dispatched(1).started(1, 'e1').failed(1, 'e1').retryScheduled(2);
    given(waiting).when(second(10)).then({ ...expired, attempts: 1, causeId: waiting.lastId });
  });
  it('holds no more once an operator has opened the task again', () => {
    const reopened = expiring.at(second(10)).failedPermanently({ reason: 'expired', attempts: 0 }).at(second(60)).retryRequested().retryScheduled(2, { reason: 'operator', dueAtMs: second(60) });
    given(reopened).when(second(60)).then(dispatchOf(2));
    given(reopened.dispatched(2).started(2, 'e2').failed(2, 'e2')).when(second(60)).then({ type: 'ScheduleRetry', attempt: 3 });
  });
  it('never ends a completed task', () => given(expiring.dispatched(1).started(1, 'e1').completed(1, 'e1')).when(second(99)).then());
});

describe('a requested cancellation', () => {
  const cancel = (events: TaskHistory, attempt = 1): Decision => ({
    type: 'Cancel',
    attempt,
    reason: 'not needed any more',
    causeId: events.lastId,
  });
  const cases: ReadonlyArray<readonly [string, TaskHistory, number]> = [
    ['an accepted task', accepted, 0],
    ['a delayed task', history().accepted({ options: { delayMs: 99_000 } }), 0],
    ['a running task', running, 1],
    ['a failed attempt', failedOnce, 1],
    ['a scheduled retry', failedOnce.retryScheduled(2), 1],
    ['an expired task', history().accepted({ options: { expiresInMs: 1 } }), 0],
  ];

  it.each(cases)('cancels %s', (_name, events, attempt) => {
    const requested = events.cancellationRequested();
    given(requested).when(second(9)).then(cancel(requested, attempt));
  });
  it('is forgotten when the task completed first', () => {
    given(running.cancellationRequested().completed(1, 'e1')).when(second(9)).then();
  });
  it('is decided once', () => given(running.cancellationRequested().cancelled()).when(second(9)).then());
  it('of an ended task changes nothing', () => given(failedForGood.cancellationRequested()).when(second(9)).then());
});

describe("an operator's retry", () => {
  const requested = failedForGood.retryRequested();
  const reopened = requested.retryScheduled(2, { reason: 'operator' });

  it('schedules the next attempt number, due when it was requested', () => {
    given(requested)
      .when(second(99))
      .then({ type: 'ScheduleRetry', attempt: 2, dueAtMs: second(5), reason: 'operator', causeId: requested.lastId });
  });
  it('re-opens a cancelled task', () => {
    const events = accepted.cancellationRequested().cancelled().retryRequested('request-2');
    given(events).when(second(9)).then({ type: 'ScheduleRetry', attempt: 2, reason: 'operator' });
  });
  it('dispatches the re-opened task', () => given(reopened).when(second(9)).then(dispatchOf(2)));
  it('gives a fresh budget of attempts', () => {
    const again = reopened.dispatched(2).started(2, 'e2').failed(2, 'e2').retryScheduled(3).dispatched(3).started(3, 'e3').failed(3, 'e3');
    given(again).when(second(99)).then({ type: 'ScheduleRetry', attempt: 4, reason: 'failed' });
    const exhausted = again.retryScheduled(4).dispatched(4).started(4, 'e4').failed(4, 'e4');
    given(exhausted).when(second(99)).then({ type: 'FailPermanently', reason: 'attempts-exhausted', attempts: 4 });
  });
  it('of an open or completed task decides nothing', () => {
    given(running.retryRequested()).when(second(99)).then();
    given(running.completed(1, 'e1').retryRequested()).when(second(99)).then();
  });
});

describe('a history that cannot be read whole', () => {
  it.each([
    ['an accepted task', accepted],
    ['a failed attempt', failedOnce],
    ['a requested cancellation', running.cancellationRequested()],
    ['an execution without its dispatch', accepted.started(1, 'e1')],
    ['a requested retry', failedForGood.retryRequested()],
  ] as const)('freezes the dispatcher for %s', (_name, events) => {
    given(events.ofNewerBuild('ce_type')).when(second(99)).then();
    given(events.ofNewerBuild('ce_dataschema')).when(second(99)).then();
  });

  it('goes on after garbage under the key', () => given(accepted.garbage()).when(t0).then(dispatchOf(1)));
});

/** Given these events, when it is this time, then exactly these decisions, each matched in the members named. */
describe('lost jobs', () => {
  const lost: PresumedLost = { attempt: 1, issue: 1, reason: 'presumed lost' };
  const dispatched = accepted.dispatched(1, { queue: 'heavy' });
  /** The first issue, and one more for each reason; undefined: it was recorded without one. */
  const issued = (...reasons: ReadonlyArray<string | undefined>) =>
    reasons.reduce((events, reason, index) => events.dispatched(1, { issue: index + 2, ...(reason === undefined ? {} : { reason }) }), accepted.dispatched(1));
  const times = <Reason>(count: number, reason: Reason) => Array.from({ length: count }, () => reason);
  const presumed = (issue: number): PresumedLost => ({ attempt: 1, issue, reason: 'presumed lost' });
  const withQueue = (issue: number): PresumedLost => ({ attempt: 1, issue, reason: 'queue lost' });
  const limit = { type: 'FailPermanently', reason: 'reissue-limit', attempts: 1 } as const;

  it('issues the job of the same attempt again, to the queue it was in', () => {
    given(dispatched).when(second(9), lost).then({ type: 'Reissue', attempt: 1, queue: 'heavy', issue: 2, reason: 'presumed lost' });
    given(dispatched).when(second(9), withQueue(1)).then({ type: 'Reissue', attempt: 1, queue: 'heavy', issue: 2, reason: 'queue lost' });
  });
  it('issues it again when an execution had begun', () => {
    given(running).when(second(9), lost).then({ type: 'Reissue', attempt: 1, queue: 'default', issue: 2 });
  });
  it('does nothing once the next issue stands in the log', () => given(issued('presumed lost')).when(second(9), lost).then());
  it('does nothing for an attempt that has failed meanwhile, but what its failure asks for', () => {
    given(failedOnce).when(second(9), lost).then({ type: 'ScheduleRetry', attempt: 2 });
  });
  it('does nothing for the attempt after it', () => {
    given(failedOnce.retryScheduled(2).dispatched(2)).when(second(99), lost).then();
    given(failedOnce.retryScheduled(2)).when(second(99), lost).then(dispatchOf(2));
  });
  it('does nothing for a task that ended or waits for its first dispatch', () => {
    given(running.completed(1, 'e1')).when(second(9), lost).then();
    given(accepted).when(second(9), lost).then(dispatchOf(1));
  });
  it('records the missing dispatch of a lost job before anything else', () => {
    given(accepted.started(1, 'e1')).when(second(9), lost).then({ type: 'RecordDispatch', attempt: 1, queue: 'default', issue: 1 });
  });
  it('cancels a task whose job is lost', () => given(dispatched.cancellationRequested()).when(second(9), lost).then({ type: 'Cancel' }));
  it('ends the task when the job was issued again five times and lost again', () => {
    given(issued(...times(4, 'presumed lost'))).when(second(9), presumed(5)).then({ type: 'Reissue', attempt: 1, issue: 6 });
    given(issued(...times(5, 'presumed lost'))).when(second(9), presumed(6)).then(limit);
  });
  it('issues it again beyond the limit when it was lost with its queue', () => {
    given(issued(...times(5, 'presumed lost'))).when(second(9), withQueue(6)).then({ type: 'Reissue', attempt: 1, issue: 7, reason: 'queue lost' });
  });
  it('does not count the issues that followed the loss of a queue', () => {
    const afterWipes = [...times(20, 'queue lost'), ...times(4, 'presumed lost')];
    given(issued(...afterWipes)).when(second(9), presumed(25)).then({ type: 'Reissue', attempt: 1, issue: 26 });
    given(issued(...afterWipes, 'presumed lost')).when(second(9), presumed(26)).then(limit);
  });
  it.each([undefined, 'moved by an operator'])('counts an issue whose recorded reason is %s, so that there is an end to them', (reason) => {
    given(issued(...times(5, reason))).when(second(9), presumed(6)).then(limit);
  });
});

function given(events: TaskHistory) {
  return {
    when: (nowMs: number, lost: PresumedLost | null = null) => ({
      then: (...expected: ReadonlyArray<Partial<Decision>>) => {
        const decisions = decide(events.state, defaultDispatchPolicy, nowMs, lost);
        expect(decisions).toHaveLength(expected.length);
        expect(decisions).toMatchObject(expected);
      },
    }),
  };
}

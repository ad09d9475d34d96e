import { describe, expect, it } from 'vitest';
import { evolve } from '../../src/domain/evolve.ts';
import { judge } from '../../src/domain/judgement.ts';
import { taskEventTypes, type DecodedRecord, type TaskEventType } from '../../src/domain/task-events.ts';
import { phaseOf, type TaskState } from '../../src/domain/task-state.ts';
import { history, type TaskHistory } from '../support/task-history.ts';

/*
 * Two producers without a causal link may land in the log either way, so the fold has an answer for every pair of
 * event types in either order, wherever a task may stand. The whole table is event-pairs.txt: a change of it is a
 * change of the meaning of history, to be reviewed line by line.
 */

const running = history().accepted().dispatched(1).started(1, 'e1');
const situations: Readonly<Record<string, TaskHistory>> = {
  'nothing known': history(),
  accepted: history().accepted(),
  'running e1 of attempt 1': running,
  'running, cancellation requested': running.cancellationRequested('request-0'),
  'attempt 1 failed': running.failed(1, 'e1'),
  'failed for good': running.failed(1, 'e1').failedPermanently(),
  'failed for good, retry requested': running.failed(1, 'e1').failedPermanently().retryRequested('request-0'),
  completed: running.completed(1, 'e1'),
};

/** One event of each type; attempt 1 and execution e1 where it names any. */
const write: Readonly<Record<TaskEventType, (events: TaskHistory) => TaskHistory>> = {
  TaskAccepted: (events) => events.accepted({ submitter: 'again' }),
  TaskRejected: (events) => events.rejected(),
  TaskDispatched: (events) => events.dispatched(1, { issue: 2, reason: 'presumed lost' }),
  TaskExecutionStarted: (events) => events.started(1, 'e2', { issue: 2 }),
  TaskExecutionProgressed: (events) => events.progressed(1, 'e1', 1),
  TaskExecutionCompleted: (events) => events.completed(1, 'e1'),
  TaskExecutionFailed: (events) => events.failed(1, 'e1', { cause: 'timeout' }),
  TaskRetryRequested: (events) => events.retryRequested('request-1'),
  TaskRetryScheduled: (events) => events.retryScheduled(2, { reason: phaseOf(events.state) === 'failed' ? 'operator' : 'failed' }),
  TaskCancellationRequested: (events) => events.cancellationRequested('request-2'),
  TaskCancelled: (events) => events.cancelled(),
  TaskFailedPermanently: (events) => events.failedPermanently({ reason: 'not-retryable' }),
};

const pairs = Object.entries(situations).flatMap(([situation, events]) =>
  taskEventTypes.flatMap((first) => taskEventTypes.map((second) => ({ situation, events, first, second }))),
);

it('has a defined result for every pair of event types in either order', async () => {
  const lines = pairs.map(({ situation, events, first, second }) => {
    const one = write[first](events);
    const two = write[second](one);
    const results = [verdict(events.state, one.last), verdict(one.state, two.last)];
    for (const result of results) expect(result).toMatch(/^(valid|duplicate|repeat|void [a-z-]+)$/);
    return `${situation} | ${first}: ${results[0]} | ${second}: ${results[1]} | ${phaseOf(two.state) ?? 'unknown'}`;
  });
  expect(lines).toHaveLength(8 * 144);
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('event-pairs.txt');
});

describe('pairs that come from different producers lead to the same state in either order', () => {
  const accepted = history().accepted();
  const cancelling = accepted.cancellationRequested();
  const cases: ReadonlyArray<readonly [string, TaskHistory, (events: TaskHistory) => TaskHistory, (events: TaskHistory) => TaskHistory]> = [
    ['TaskDispatched, TaskExecutionStarted', accepted, (e) => e.dispatched(1), (e) => e.started(1, 'e1')],
    ['TaskDispatched, TaskExecutionCompleted', accepted.started(1, 'e1'), (e) => e.dispatched(1), (e) => e.completed(1, 'e1')],
    ['TaskDispatched, TaskExecutionFailed', accepted.started(1, 'e1'), (e) => e.dispatched(1), (e) => e.failed(1, 'e1')],
    ['TaskDispatched, TaskExecutionFailed without a start', accepted, (e) => e.dispatched(1), (e) => e.failed(1, null, { cause: 'unknown-type' })],
    ['TaskDispatched, TaskCancellationRequested', accepted, (e) => e.dispatched(1), (e) => e.cancellationRequested()],
    ['TaskExecutionStarted, TaskCancellationRequested', accepted, (e) => e.started(1, 'e1'), (e) => e.cancellationRequested()],
    ['TaskExecutionFailed, TaskCancellationRequested', running, (e) => e.failed(1, 'e1'), (e) => e.cancellationRequested()],
    ['TaskDispatched(1), TaskDispatched(1) of the next issue', accepted, (e) => e.dispatched(1), (e) => e.dispatched(1, { issue: 2 })],
    ['TaskExecutionProgressed, TaskDispatched', accepted.started(1, 'e1'), (e) => e.progressed(1, 'e1', 1), (e) => e.dispatched(1)],
    ['TaskExecutionProgressed, TaskCancellationRequested', running, (e) => e.progressed(1, 'e1', 1), (e) => e.cancellationRequested()],
    ['TaskRetryScheduled, TaskCancellationRequested', running.failed(1, 'e1'), (e) => e.retryScheduled(2), (e) => e.cancellationRequested()],
    ['TaskDispatched(1) late, TaskRetryScheduled(2)', accepted.started(1, 'e1').failed(1, 'e1'), (e) => e.dispatched(1), (e) => e.retryScheduled(2)],
    ['TaskDispatched, TaskFailedPermanently', accepted.started(1, 'e1').failed(1, 'e1'), (e) => e.dispatched(1), (e) => e.failedPermanently()],
    ['TaskDispatched, TaskCancelled', cancelling.started(1, 'e1'), (e) => e.dispatched(1), (e) => e.cancelled()],
  ];

  it.each(cases)('%s', (_name, given, one, other) => {
    expect(given.state.attempts.length).toBeGreaterThan(0);
    const [first, second] = [one(given).last, other(given).last];
    const [forth, back] = [[first, second], [second, first]].map((order) => order.reduce(evolve, given.state));
    expect(forth!.anomalies).toEqual([]);
    expect(comparable(forth!)).toEqual(comparable(back!));
  });
});

describe('of two outcomes, the first one counts', () => {
  const cancelling = running.cancellationRequested();
  const cases: ReadonlyArray<readonly [string, TaskHistory, (events: TaskHistory) => TaskHistory, (events: TaskHistory) => TaskHistory]> = [
    ['TaskExecutionCompleted, TaskCancelled', cancelling, (e) => e.completed(1, 'e1'), (e) => e.cancelled()],
    ['TaskExecutionCompleted, TaskFailedPermanently', running.failed(1, 'e1'), (e) => e.completed(1, 'e1'), (e) => e.failedPermanently()],
    ['TaskCancelled, TaskFailedPermanently', cancelling.failed(1, 'e1'), (e) => e.cancelled(), (e) => e.failedPermanently()],
    ['TaskExecutionCompleted by two executions', running.started(1, 'e2'), (e) => e.completed(1, 'e1'), (e) => e.completed(1, 'e2')],
  ];

  it.each(cases)('%s', (_name, given, one, other) => {
    for (const [first, second] of [[one, other], [other, one]] as const) {
      const both = [first(given).last, second(given).last].reduce(evolve, given.state);
      expect(both.end?.eventId).toBe(first(given).lastId);
      expect(both.anomalies).toHaveLength(1);
    }
  });

  it('TaskExecutionFailed, TaskExecutionCompleted of one execution: a completion ends the task even after the failure', () => {
    expect(phaseOf(running.failed(1, 'e1').completed(1, 'e1').state)).toBe('completed');
    expect(phaseOf(running.completed(1, 'e1').failed(1, 'e1').state)).toBe('completed');
  });

  it('TaskExecutionStarted, TaskCancelled: a start behind the end is void', () => {
    const given = history().accepted().cancellationRequested();
    expect(given.started(1, 'e1').cancelled().state.anomalies).toEqual([]);
    expect(given.cancelled().started(1, 'e1').state.anomalies).toMatchObject([{ code: 'started-after-end' }]);
  });
});

function verdict(state: TaskState, event: DecodedRecord): string {
  const judgement = judge(state, event);
  return judgement.kind === 'void' ? `void ${judgement.code}` : judgement.kind;
}

/** States that differ only in the order of what was seen mean the same. */
function comparable(state: TaskState): object {
  const attempts = state.attempts.map(({ dispatches, ...attempt }) => ({
    ...attempt,
    dispatches: [...dispatches].sort((one, other) => one.issue - other.issue),
  }));
  return { ...state, attempts, seen: [...state.seen].sort() };
}

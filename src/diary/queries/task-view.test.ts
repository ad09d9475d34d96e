import { expect, it } from 'vitest';
import { instantText } from '../../domain/instant.ts';
import { history, second } from '../../../test/support/task-history.ts';
import { attemptViews, taskSummary, taskView } from './task-view.ts';

const begun = history('t').accepted().dispatched(1).started(1, 'e-1');
const at = (count: number) => instantText(second(count));

it('shows a completed task with all of its times', () => {
  const summary = taskSummary(begun.completed(1, 'e-1').state);
  expect(summary && taskView(summary, { payload: { to: 'ada' }, result: null })).toEqual({
    id: 't',
    type: 'email.welcome',
    typeVersion: 1,
    state: 'completed',
    attempt: 1,
    maxAttempts: 3,
    queue: 'default',
    priority: 0,
    payload: { to: 'ada' },
    result: null,
    acceptedAt: at(0),
    dispatchedAt: at(1),
    startedAt: at(2),
    finishedAt: at(3),
    workerId: 'worker-1',
    tags: {},
    anomalies: [],
    links: { self: '/v1/tasks/t', events: '/v1/tasks/t/events', attempts: '/v1/tasks/t/attempts' },
  });
});

it('shows attempt 0, and the due time, while a delayed task waits', () => {
  const delayed = taskSummary(history('t').accepted({ options: { delayMs: 60_000 } }).state);
  expect(delayed).toMatchObject({ state: 'accepted', attempt: 0, dueAt: at(60) });
  expect(taskSummary(history('t').accepted().state)).not.toHaveProperty('dueAt');
});

it('shows the attempt that ran, not the one that is scheduled, until the next is dispatched', () => {
  const failed = begun.failed(1, 'e-1');
  expect(taskSummary(failed.state)).toMatchObject({ state: 'retrying', attempt: 1, error: { message: 'connection refused', cause: 'handler' } });
  const scheduled = failed.retryScheduled(2, { dueAtMs: second(9) });
  expect(taskSummary(scheduled.state)).toMatchObject({ state: 'retrying', attempt: 1, dueAt: at(9) });
  const again = taskSummary(scheduled.dispatched(2).state);
  expect(again).toMatchObject({ state: 'dispatched', attempt: 2 });
  expect(again).not.toHaveProperty('dueAt');
});

it('shows a start without its dispatch as running', () => {
  const early = taskSummary(history('t').accepted().started(1, 'e-1').state);
  expect(early).toMatchObject({ state: 'running', attempt: 1, workerId: 'worker-1' });
  expect(early).not.toHaveProperty('dispatchedAt');
});

it('shows why a task failed for good, with an error or without one', () => {
  const failed = taskSummary(begun.failed(1, 'e-1').failedPermanently().state);
  expect(failed).toMatchObject({ state: 'failed', reason: 'attempts-exhausted', error: { name: 'Error', fingerprint: 'f00d' } });
  const expired = taskSummary(history('t').accepted().failedPermanently({ reason: 'expired', attempts: 0 }).state);
  expect(expired).toMatchObject({ state: 'failed', attempt: 0, reason: 'expired', error: { code: 'expired', retryable: false } });
});

it('shows a rejected task with the rules that were broken', () => {
  expect(taskSummary(history('t').rejected().state)).toMatchObject({
    ...{ state: 'rejected', attempt: 0, acceptedAt: null, finishedAt: at(0), queue: null },
    error: { code: 'payload-invalid', violations: [{ pointer: '/payload/to', rule: 'must be text' }] },
  });
});

it('is null for a task of which only stray events are known', () => {
  expect(taskSummary(history('t').dispatched(1).state)).toBeNull();
});

it('lists every execution, those in doubt and failures without a start among them', () => {
  const twice = begun.started(1, 'e-2', { redelivered: true }).failed(1, 'e-2').retryScheduled(2).dispatched(2).failed(2, null, { cause: 'crash-loop' });
  expect(attemptViews(twice.state)).toMatchObject([
    { attempt: 1, executionId: 'e-1', outcome: 'in-doubt', redelivered: false, startedAt: at(2) },
    { attempt: 1, executionId: 'e-2', outcome: 'failed', redelivered: true, error: { cause: 'handler' }, finishedAt: at(4) },
    { attempt: 2, executionId: null, workerId: null, startedAt: null, outcome: 'failed', error: { cause: 'crash-loop' } },
  ]);
  expect(attemptViews(begun.state)).toMatchObject([{ outcome: 'running', issue: 1, guarded: true }]);
});

import { expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../test/support/eventually.ts';
import { gate, WorkerRig } from '../../test/support/worker-rig.ts';
import type { JsonValue } from '../domain/json.ts';
import type { TaskExecutionFailedData } from '../domain/task-events.ts';
import { defineTask } from '../task-definition/define-task.ts';
import { PermanentFailure, RetryAfter } from '../task-definition/failures.ts';
import { handle, type TaskHandler } from '../task-definition/handle.ts';

const anything = z.any();

function task(run: () => unknown): TaskHandler {
  return handle(defineTask({ type: 'demo', payload: anything }), run as () => JsonValue);
}

async function failureOf(handler: TaskHandler, job: { payload?: JsonValue; typeVersion?: number } = {}): Promise<TaskExecutionFailedData | undefined> {
  const rig = new WorkerRig();
  await rig.startWorker([handler], { maxResultBytes: 1_000 });
  await rig.send(job);
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionFailed']);
  return (await rig.eventsOf('TaskExecutionFailed'))[0]?.data;
}

it('records what a handler throws as a retryable failure', async () => {
  const failure = await failureOf(task(() => {
    throw Object.assign(new TypeError('no route to host'), { code: 'EHOSTUNREACH' });
  }));
  expect(failure).toMatchObject({
    attempt: 1, workerId: 'worker-1', cause: 'handler', durationMs: 0,
    error: { name: 'TypeError', message: 'no route to host', code: 'EHOSTUNREACH', retryable: true, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) },
  });
  expect(failure?.error.stack).toContain('run-handler.test.ts');
});

it('knows a permanent failure by its name, from whatever copy of the package it comes', async () => {
  const own = await failureOf(task(() => {
    throw new PermanentFailure('no such account', { code: 'gone' });
  }));
  const foreign = await failureOf(task(() => {
    throw Object.assign(new Error('no such account'), { name: 'PermanentFailure', code: 'gone' });
  }));
  for (const failure of [own, foreign]) {
    expect(failure?.error).toMatchObject({ name: 'PermanentFailure', code: 'gone', retryable: false });
  }
});

it('passes the delay of RetryAfter on', async () => {
  const failure = await failureOf(task(() => {
    throw new RetryAfter('2s', 'rate limited');
  }));
  expect(failure?.error).toMatchObject({ name: 'RetryAfter', message: 'rate limited', retryable: true, retryAfterMs: 2_000 });
});

it('refuses a payload that breaks the schema, without a retry', async () => {
  const strict = handle(defineTask({ type: 'demo', payload: z.object({ path: z.string() }) }), () => null);
  expect((await failureOf(strict, { payload: { path: 7 } }))?.error).toMatchObject({
    code: 'payload-invalid', retryable: false, message: expect.stringContaining('/path'),
  });
});

it('brings an older payload up to the version of the handler', async () => {
  const rig = new WorkerRig();
  const definition = defineTask({
    type: 'demo', version: 2, payload: z.object({ paths: z.array(z.string()) }),
    upcast: { 1: (payload: { path: string }) => ({ paths: [payload.path] }) },
  });
  await rig.startWorker([handle(definition, ({ paths }) => paths)]);
  await rig.send({ typeVersion: 1, payload: { path: '/etc/hosts' } });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect((await rig.eventsOf('TaskExecutionStarted'))[0]).toMatchObject({ taskTypeVersion: 1, data: { handlerVersion: 2 } });
  expect((await rig.eventsOf('TaskExecutionCompleted'))[0]?.data.result).toEqual(['/etc/hosts']);
});

it('records the result as its schema returns it, and nothing as null', async () => {
  const rig = new WorkerRig();
  const counted = defineTask({ type: 'counted', payload: anything, result: z.object({ bytes: z.coerce.number() }) });
  await rig.startWorker([handle(counted, () => ({ bytes: '12', more: true }) as never), task(() => undefined)]);
  await rig.send({ taskId: 'counts', type: 'counted' });
  await rig.send({ taskId: 'returns nothing' });
  await eventually(() => rig.count('ack') === 2);
  expect((await rig.eventsOf('TaskExecutionCompleted', 'counts'))[0]?.data.result).toEqual({ bytes: 12 });
  expect((await rig.eventsOf('TaskExecutionCompleted', 'returns nothing'))[0]?.data.result).toBeNull();
});

it('refuses a result that breaks its schema or that JSON cannot hold, without a retry', async () => {
  const strict = handle(defineTask({ type: 'demo', payload: anything, result: z.object({ bytes: z.number() }) }), () => ({ bytes: 'many' }) as never);
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  for (const handler of [strict, task(() => cycle), task(() => 12n), task(() => ({ share: NaN })), task(() => () => 0), task(() => '\ud800')]) {
    expect((await failureOf(handler))?.error).toMatchObject({ code: 'result-invalid', retryable: false });
  }
});

it('refuses a result that is too large, counted in bytes, without a retry', async () => {
  const failure = await failureOf(task(() => 'ä'.repeat(600)));
  expect(failure?.error).toMatchObject({ code: 'result-too-large', retryable: false, message: expect.stringContaining('1202 bytes') });
});

it('aborts the signal at the time limit, and records a timeout when the handler then throws', async () => {
  const rig = new WorkerRig();
  let reason: unknown;
  const cooperative = handle(defineTask({ type: 'demo', payload: anything }), async (_payload, { signal, deadline }) => {
    expect(deadline.getTime()).toBe(rig.clock.nowMs() + 5_000);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    reason = signal.reason;
    throw signal.reason as Error;
  });
  await rig.startWorker([cooperative]);
  await rig.send({ timeoutMs: 5_000 });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  rig.clock.advance(4_999);
  expect(reason).toBeUndefined();
  rig.clock.advance(1);
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionFailed']);
  expect(reason).toMatchObject({ name: 'TimeoutError' });
  expect((await rig.eventsOf('TaskExecutionFailed'))[0]?.data).toMatchObject({
    cause: 'timeout', durationMs: 5_000, error: { code: 'timeout', retryable: true },
  });
});

it('keeps the decision of a handler that throws a permanent failure after its time limit', async () => {
  const rig = new WorkerRig();
  const cooperative = handle(defineTask({ type: 'demo', payload: anything }), async (_payload, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw new PermanentFailure('half done, do not repeat');
  });
  await rig.startWorker([cooperative]);
  await rig.send({ timeoutMs: 5_000 });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  rig.clock.advance(5_000);
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionFailed']);
  expect((await rig.eventsOf('TaskExecutionFailed'))[0]?.data).toMatchObject({ cause: 'handler', error: { retryable: false } });
});

it('stops waiting for a handler that ignores its signal, and keeps its slot taken until it returns', async () => {
  const rig = new WorkerRig();
  const late = gate<string>();
  const runs: string[] = [];
  const stubborn = handle(defineTask({ type: 'demo', payload: anything }), (_payload, { taskId }) => {
    runs.push(taskId);
    return taskId === 'task-1' ? late.promise : 'done';
  });
  await rig.startWorker([stubborn], { concurrency: 1 });
  await rig.send({ timeoutMs: 5_000 });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  await rig.send({ taskId: 'task-2' });
  rig.clock.advance(5_999);
  expect(await rig.types()).toEqual(['TaskExecutionStarted']);
  rig.clock.advance(1);
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionFailed']);
  await eventually(() => rig.count('ack') === 1);
  expect((await rig.eventsOf('TaskExecutionFailed'))[0]?.data).toMatchObject({ cause: 'timeout', durationMs: 6_000 });
  expect(runs).toEqual(['task-1']);

  late.open('far too late');
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted'], 'task-2');
  expect(rig.logger.lines).toContainEqual(expect.objectContaining({ level: 'warn', message: expect.stringContaining('what it gave is dropped') }));
  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionFailed']);
});

import { expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../test/support/eventually.ts';
import { gate, WorkerRig } from '../../test/support/worker-rig.ts';
import { decodeEvent } from '../domain/event-codec.ts';
import type { JsonValue } from '../domain/json.ts';
import { childTaskId, sha256Hex } from '../event-producer/event-id.ts';
import { defineTask } from '../task-definition/define-task.ts';
import { handle, type ChildTask, type HandlerContext, type TaskHandler } from '../task-definition/handle.ts';

const demo = defineTask({ type: 'demo', payload: z.any() });
const child = defineTask({ type: 'email.send', payload: z.object({ to: z.string(), at: z.string().default(() => 'now') }), queue: 'mail' });

function task(run: (ctx: HandlerContext) => unknown): TaskHandler {
  return handle(demo, (_payload, ctx) => run(ctx) as JsonValue);
}

it('tells the handler what it works on, with the same idempotency key in every attempt', async () => {
  const rig = new WorkerRig();
  const seen: unknown[] = [];
  await rig.startWorker([task(({ taskId, type, attempt, idempotencyKey, log }) => {
    log.info('working', { step: 1, taskId: 'forged' });
    seen.push({ taskId, type, attempt, idempotencyKey });
  })]);
  await rig.send({ attempt: 2 });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect(seen).toEqual([{ taskId: 'task-1', type: 'demo', attempt: 2, idempotencyKey: 'task-1' }]);
  expect(rig.logger.lines).toEqual([{ level: 'info', message: 'working', fields: { step: 1, taskId: 'task-1', type: 'demo', attempt: 2 } }]);
});

it('records the newest progress, at most one event a second, the last before the outcome, and none after it', async () => {
  const rig = new WorkerRig();
  const context = gate<HandlerContext>();
  const finish = gate();
  await rig.startWorker([task((ctx) => {
    context.open(ctx);
    return finish.promise;
  })]);
  await rig.send();
  const { progress } = await context.promise;
  for (const fraction of [0.1, 0.2, 0.3]) progress(fraction, `at ${fraction}`);
  await eventually(() => rig.count('append TaskExecutionProgressed') === 1);
  progress(0.4);
  rig.clock.advance(999);
  expect(await rig.eventsOf('TaskExecutionProgressed')).toHaveLength(1);
  progress(7);
  rig.clock.advance(1);
  await eventually(() => rig.count('append TaskExecutionProgressed') === 2);
  progress(0.9);
  finish.open();
  await eventually(() => rig.count('ack') === 1);
  progress(1);
  rig.clock.advance(10_000);

  const progressed = ['TaskExecutionProgressed', 'TaskExecutionProgressed', 'TaskExecutionProgressed'];
  expect(await rig.types()).toEqual(['TaskExecutionStarted', ...progressed, 'TaskExecutionCompleted']);
  expect((await rig.eventsOf('TaskExecutionProgressed')).map(({ data }) => [data.sequence, data.fraction, data.note])).toEqual([
    [1, 0.1, 'at 0.1'],
    [2, 1, undefined],
    [3, 0.9, undefined],
  ]);
  expect(rig.clock.pendingTimers).toBeLessThanOrEqual(1);
});

it('carries the trace of its job on, in all it records and in child tasks', async () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const rig = new WorkerRig();
  await rig.startWorker([handle(child, () => null), task(async ({ progress, submit }) => {
    progress(0.5);
    await submit(child, { to: 'ada@example.org' }, { key: 'welcome' });
  })]);
  await rig.send({ traceparent });
  await eventually(() => rig.count('ack') === 1);
  const events = [...(await rig.events()), ...(await rig.events(childTaskId('task-1', 'welcome')))];
  expect(events.map((event) => [event.type, 'traceparent' in event && event.traceparent])).toEqual([
    ['TaskExecutionStarted', traceparent],
    ['TaskExecutionProgressed', traceparent],
    ['TaskExecutionCompleted', traceparent],
    ['TaskAccepted', traceparent],
  ]);
});

it('records the last progress of a handler that fails at once, in the order in which it was reported', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([task(({ progress }) => {
    for (const fraction of [0.2, 0.4, 0.6]) progress(fraction);
    throw new Error('two thirds done');
  })]);
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionProgressed', 'TaskExecutionProgressed', 'TaskExecutionFailed']);
  expect((await rig.eventsOf('TaskExecutionProgressed')).map(({ data }) => [data.sequence, data.fraction])).toEqual([[1, 0.2], [2, 0.6]]);
});

it('tries the last progress no more when the log took the one before it not', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([task(({ progress }) => {
    rig.appender.down = true;
    progress(0.5);
    progress(0.6);
  })]);
  await rig.send();
  await eventually(() => rig.count('store stored') === 1);
  // The start, the progress that failed, and the outcome that waits for the log.
  await eventually(() => rig.appender.attempts === 3);
  rig.appender.down = false;
  await eventually(() => {
    rig.clock.advance(250);
    return rig.count('ack') === 1;
  });
  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionCompleted']);
});

it('records no more progress of an execution that is broken off', async () => {
  const rig = new WorkerRig();
  const worker = await rig.startWorker([task(({ progress }) => {
    progress(0.2);
    progress(0.4);
    return new Promise(() => {});
  })]);
  await rig.send();
  await eventually(() => rig.count('append TaskExecutionProgressed') === 1);
  await rig.stopWorker(worker);
  expect(rig.count('give back')).toBe(1);
  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionProgressed']);
});

it('spares the handler whatever befalls its progress', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([task(async ({ progress }) => {
    progress(Number.NaN);
    progress('half' as never);
    rig.appender.down = true;
    progress(0.5, 12 as never);
    await eventually(() => rig.appender.attempts === 2);
    rig.appender.down = false;
  })]);
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
});

it('submits the same child when the parent runs again, with the payload as it was sent', async () => {
  const rig = new WorkerRig();
  const children: ChildTask[] = [];
  await rig.startWorker([handle(child, () => null), task(async ({ submit, attempt }) => {
    children.push(await submit(child, { to: 'ada@example.org' }, { key: 'welcome', priority: 3, notBefore: '10s' }));
    if (attempt === 1) throw new Error('after the submission');
  })]);
  await rig.send({ attempt: 1 });
  await eventually(() => rig.count('ack') === 1);
  rig.clock.advance(60_000);
  await rig.send({ attempt: 2 });
  await eventually(() => rig.count('ack') === 2);

  const id = childTaskId('task-1', 'welcome');
  expect(children.map((found) => found.id)).toEqual([id, id]);
  const records = await rig.records(id);
  expect(records).toHaveLength(2);
  expect(records[1]?.value).toEqual(records[0]?.value);
  const [accepted, copy] = records.map((record) => decodeEvent(record));
  expect(copy?.id).toBe(accepted?.id);
  expect(accepted).toMatchObject({
    type: 'TaskAccepted', taskType: 'email.send', taskTypeVersion: 1,
    data: { options: { queue: 'mail', priority: 3, delayMs: 10_000 }, parent: 'task-1', submitter: 'anonymous' },
  });
  expect(accepted).toHaveProperty('data.payload', { to: 'ada@example.org' });
  expect(children[0]?.receipt).toEqual({
    eventId: accepted?.id, topic: 'task-lifecycle', partition: 0, offset: records[0]?.offset,
    sha256: sha256Hex(records[0]?.value ?? ''), acceptedAt: '2026-01-01T00:00:00.000Z',
  });
});

it('refuses a child that breaks a rule, naming the place and the rule', async () => {
  const rig = new WorkerRig();
  const refusals: unknown[] = [];
  await rig.startWorker([handle(child, () => null), task(async ({ submit }) => {
    const tries: Array<[unknown, object]> = [
      [{ to: 7 }, { key: 'a' }],
      [{ to: 'x'.repeat(2_000) }, { key: 'a' }],
      [{ to: 'ada' }, { key: '' }],
      [{ to: 'ada' }, { key: 'a', priority: 12 }],
      [{ to: 'ada' }, { key: 'a', queue: 'nobody-there' }],
    ];
    for (const [payload, options] of tries) {
      await submit(child, payload as never, options as never).catch((error: unknown) => refusals.push((error as Error).message));
    }
  })], { maxPayloadBytes: 1_000 });
  await rig.send();
  await eventually(() => rig.count('ack') === 1);
  expect(refusals).toEqual([
    expect.stringContaining('/payload/to'),
    expect.stringContaining('/payload must not exceed 1000 bytes'),
    expect.stringContaining('/options/key'),
    expect.stringContaining('/options/priority'),
    expect.stringContaining('/options/queue'),
  ]);
  expect(await rig.types(childTaskId('task-1', 'a'))).toEqual([]);
});

it('lets no child be submitted by a handler that runs on after its end', async () => {
  const rig = new WorkerRig();
  const late = gate();
  const refusal = gate<unknown>();
  await rig.startWorker([handle(child, () => null), task(async ({ submit }) => {
    await late.promise;
    await submit(child, { to: 'ada' }, { key: 'a' }).catch(refusal.open);
  })]);
  await rig.send({ timeoutMs: 1_000 });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  rig.clock.advance(2_000);
  await eventually(() => rig.count('ack') === 1);
  late.open();
  expect(await refusal.promise).toMatchObject({ code: 'stopped' });
});

it('has no transactions yet, and says what to do instead', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([task(({ transaction }) => transaction(() => Promise.resolve(null)))]);
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionFailed']);
  expect((await rig.eventsOf('TaskExecutionFailed'))[0]?.data.error).toMatchObject({ name: 'TransactionsUnavailable', code: 'transactions-unavailable' });
});

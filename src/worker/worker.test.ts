import { expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../test/support/eventually.ts';
import { NoExecutionClaims } from '../adapters/none/no-execution-claims.ts';
import { FaultyClaims, gate, WorkerRig } from '../../test/support/worker-rig.ts';
import type { JsonValue } from '../domain/json.ts';
import { defineTask, type TaskDefinition } from '../task-definition/define-task.ts';
import { handle, type Handler, type HandlerContext, type TaskHandler } from '../task-definition/handle.ts';

const demo = defineTask({ type: 'demo', payload: z.any() });
const leaseMs = 10_000;
const renewalMs = 3_333;

function demoTask(run: (payload: unknown, ctx: HandlerContext) => unknown): TaskHandler {
  return handle(demo, run as Handler<unknown, JsonValue>);
}

it('receives, claims, records the start, runs, stores, records the outcome, acknowledges: in this order', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([demoTask(() => rig.effects.push('run') && { greeting: 'hello' })]);
  await rig.send();

  await eventually(() => rig.count('ack') === 1);
  expect(rig.effects).toEqual([
    'receive', 'claim claimed', 'append TaskExecutionStarted', 'run', 'store stored', 'append TaskExecutionCompleted', 'ack',
  ]);
});

it('writes a start and a completion that name the same execution', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([demoTask(() => ({ greeting: 'hello' }))], { workerId: 'worker-7' });
  await rig.send({ issue: 2 });

  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  const [started] = await rig.eventsOf('TaskExecutionStarted');
  const [completed] = await rig.eventsOf('TaskExecutionCompleted');
  const executionId = started?.data.executionId;
  expect(started?.data).toEqual({
    attempt: 1, issue: 2, queue: 'default', executionId, workerId: 'worker-7', handlerVersion: 1, redelivered: false, guarded: true,
  });
  expect(started).toMatchObject({ taskType: 'demo', taskTypeVersion: 1, tenant: 'default', source: '/daybook/worker/worker-7' });
  expect(completed?.data).toEqual({ attempt: 1, executionId, workerId: 'worker-7', result: { greeting: 'hello' }, durationMs: 0 });
});

it('runs a job that is received after its expiry: it was handed out in time', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([demoTask(() => null)]);
  await rig.send({ expiresAtMs: rig.clock.nowMs() - 60_000 });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
});

it('does not run an attempt again whose outcome is stored, and appends that very record', async () => {
  const rig = new WorkerRig();
  let runs = 0;
  const task = demoTask(() => {
    runs += 1;
    rig.appender.down = true;
    return { run: runs };
  });
  const first = await rig.startWorker([task], { workerId: 'worker-1' });
  await rig.send();
  await eventually(() => rig.count('store stored') === 1);
  await rig.stopWorker(first);
  expect(rig.count('ack')).toBe(0);

  rig.appender.down = false;
  await rig.startWorker([task], { workerId: 'worker-2' });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  await eventually(() => rig.count('ack') === 1);
  expect(runs).toBe(1);
  expect((await rig.eventsOf('TaskExecutionCompleted'))[0]).toMatchObject({
    data: { workerId: 'worker-1', result: { run: 1 } }, source: '/daybook/worker/worker-1',
  });
});

it('executes an attempt once when two workers receive it', async () => {
  const rig = new WorkerRig();
  const finish = gate();
  let runs = 0;
  const task = demoTask(async () => {
    runs += 1;
    await finish.promise;
  });
  await rig.startWorker([task], { workerId: 'worker-1', prefetch: 1 });
  await rig.startWorker([task], { workerId: 'worker-2', prefetch: 1 });
  await rig.send({ issue: 1 });
  await rig.send({ issue: 2 });
  await eventually(() => rig.count('claim held') === 1 && runs === 1);

  finish.open();
  await eventually(() => rig.count('ack') === 1);
  rig.clock.advance(leaseMs);
  await eventually(() => rig.count('ack') === 2);
  expect(runs).toBe(1);
  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionCompleted', 'TaskExecutionCompleted']);
  const [, completed, copy] = await rig.records();
  expect(copy?.headers).toEqual(completed?.headers);
  expect(copy?.value).toEqual(completed?.value);
});

it('lets a second delivery of an attempt wait behind the first within a worker', async () => {
  const rig = new WorkerRig();
  const finish = gate();
  await rig.startWorker([demoTask(() => finish.promise)]);
  await rig.send({ issue: 1 });
  await rig.send({ issue: 2 });
  await eventually(() => rig.count('receive') === 2 && rig.count('append TaskExecutionStarted') === 1);
  expect(rig.count('claim held')).toBe(0);

  finish.open();
  await eventually(() => rig.count('ack') === 2);
  expect(rig.effects.filter((effect) => effect.startsWith('claim'))).toEqual(['claim claimed', 'claim finished']);
});

it('takes an attempt over when the lease has run out, and tells the worker that lost it', async () => {
  const rig = new WorkerRig();
  const sightless = new FaultyClaims(rig.claims.inner);
  let aborted: unknown = null;
  const stuck = demoTask(async (_payload, ctx) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
    aborted = ctx.signal.reason;
    throw ctx.signal.reason as Error;
  });
  await rig.startWorker([stuck], { workerId: 'worker-1', prefetch: 1 }, sightless);
  await rig.send({ issue: 1, timeoutMs: 3_600_000 });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  sightless.down = true;
  const finish = gate();
  await rig.startWorker([demoTask(() => finish.promise)], { workerId: 'worker-2', prefetch: 1 });
  await rig.send({ issue: 2, timeoutMs: 3_600_000 });
  await eventually(() => rig.count('claim held') === 1);

  rig.clock.advance(leaseMs);
  await eventually(() => rig.count('append TaskExecutionStarted') === 2);
  sightless.down = false;
  rig.clock.advance(renewalMs);
  await eventually(() => aborted !== null && rig.count('ack') === 1);
  expect(aborted).toMatchObject({ name: 'AbortError', message: expect.stringContaining('taken the attempt over') });
  finish.open();

  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionStarted', 'TaskExecutionCompleted']);
  const starts = await rig.eventsOf('TaskExecutionStarted');
  expect(starts.map(({ data }) => [data.workerId, data.attempt])).toEqual([['worker-1', 1], ['worker-2', 1]]);
  expect(starts[0]?.data.executionId).not.toBe(starts[1]?.data.executionId);
});

it('keeps its lease while a handler runs', async () => {
  const rig = new WorkerRig();
  const finish = gate();
  await rig.startWorker([demoTask(() => finish.promise)], { leaseMs });
  await rig.send({ timeoutMs: 3_600_000 });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  for (let third = 1; third <= 9; third += 1) {
    rig.clock.advance(renewalMs);
    await eventually(() => rig.count('renew true') === third);
  }
  expect(await rig.claimAndDie('task-1', 'another')).toMatchObject({ type: 'held' });
  finish.open();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
});

it('does not start a handler when recording the start outlasted the lease and another has the attempt', async () => {
  const rig = new WorkerRig();
  let runs = 0;
  const claims = new FaultyClaims(rig.claims.inner, rig.effects);
  const worker = await rig.startWorker([demoTask(() => (runs += 1))], {}, claims);
  rig.appender.down = true;
  await rig.send();
  await eventually(() => rig.count('claim claimed') === 1 && rig.appender.attempts > 0);
  claims.down = true;
  rig.clock.advance(leaseMs);
  expect(await rig.claimAndDie('task-1', 'another')).toMatchObject({ type: 'claimed' });
  claims.down = false;
  rig.appender.down = false;
  await eventually(() => {
    rig.clock.advance(5_000);
    return rig.count('append TaskExecutionStarted') === 1 && rig.count('renew false') === 1;
  });
  expect(runs).toBe(0);
  expect(worker.health()).toContainEqual(expect.objectContaining({ name: 'log', ok: true }));
});

it.each([
  ['a crash loop', 'crash-loop', 'default'],
  ['for a dead letter the delivery limit', 'delivery-limit', 'dead'],
])('records %s instead of a fourth run, in bytes that name no worker', async (_, cause, queue) => {
  const rig = new WorkerRig();
  for (const execution of ['killed-1', 'killed-2', 'killed-3']) {
    await rig.claimAndDie('task-1', execution);
    rig.clock.advance(leaseMs);
  }
  let runs = 0;
  await rig.startWorker([demoTask(() => (runs += 1))]);
  await rig.send({ queue });

  await rig.untilHistoryIs(['TaskExecutionFailed']);
  await eventually(() => rig.count('ack') === 1);
  expect(runs).toBe(0);
  const [failed] = await rig.eventsOf('TaskExecutionFailed');
  expect(failed?.data).toEqual({
    attempt: 1, cause, error: expect.objectContaining({ code: cause, retryable: false }),
  });
  expect(rig.effects).toEqual(['receive', 'claim claimed', 'store stored', 'append TaskExecutionFailed', 'ack']);
});

it('runs a dead letter like any job when it has not killed three workers', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([demoTask(() => null)]);
  await rig.send({ queue: 'dead' });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  await eventually(() => rig.count('ack') === 1);
});

it('keeps a dead letter unrun while the claims are away, for they alone know when it has killed enough', async () => {
  const rig = new WorkerRig();
  rig.claims.down = true;
  await rig.startWorker([demoTask(() => null)]);
  await rig.send({ taskId: 'dead', queue: 'dead' });
  await rig.send({ taskId: 'alive' });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted'], 'alive');
  expect(rig.count('receive')).toBe(2);
  expect(await rig.types('dead')).toEqual([]);
  rig.claims.down = false;
  await eventually(async () => {
    rig.clock.advance(1_000);
    return (await rig.types('dead')).includes('TaskExecutionCompleted');
  });
});

it('takes no dead letters where nothing guards executions', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([demoTask(() => null)], {}, new NoExecutionClaims());
  await rig.send({ taskId: 'dead', queue: 'dead' });
  await rig.send({ taskId: 'alive' });
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted'], 'alive');
  expect(await rig.types('dead')).toEqual([]);
});

/** A task that runs until the gate of its id opens, and which ran at the same time whenever one began. */
function watched(gates: Readonly<Record<string, { readonly promise: Promise<void> }>>) {
  const running = new Set<string>();
  const together: string[][] = [];
  const task = demoTask(async (_payload, { taskId }) => {
    running.add(taskId);
    together.push([...running].sort());
    await gates[taskId]!.promise;
    running.delete(taskId);
  });
  return { task, running, together };
}

it('runs an attempt alone that has killed two workers', async () => {
  const rig = new WorkerRig();
  for (const execution of ['killed-1', 'killed-2']) {
    await rig.claimAndDie('suspect', execution);
    rig.clock.advance(leaseMs);
  }
  const gates = { before: gate(), suspect: gate(), after: gate() };
  const { task, running, together } = watched(gates);
  await rig.startWorker([task], { concurrency: 4 });
  await rig.send({ taskId: 'before' });
  await eventually(() => running.has('before'));
  await rig.send({ taskId: 'suspect' });
  await eventually(() => rig.count('release') === 1);
  await rig.send({ taskId: 'after' });
  await eventually(() => rig.count('receive') === 3);
  expect([...running]).toEqual(['before']);
  expect(await rig.types('suspect')).toEqual([]);

  gates.before.open();
  await eventually(() => running.has('suspect'));
  gates.suspect.open();
  await eventually(() => running.has('after'));
  gates.after.open();
  await eventually(() => rig.count('ack') === 3);
  expect(together).toEqual([['before'], ['suspect'], ['after']]);
});

it('runs a job alone that came back ten times where nothing guards executions', async () => {
  const rig = new WorkerRig();
  rig.returns.set('nine', 9).set('ten', 10);
  const gates = { nine: gate(), ten: gate(), after: gate() };
  const { task, running, together } = watched(gates);
  await rig.startWorker([task], { concurrency: 4 }, new NoExecutionClaims());
  await rig.send({ taskId: 'ten' });
  await rig.send({ taskId: 'nine' });
  await eventually(() => running.has('nine'));
  // The longest that it may pause, to draw its turn among those that came back with it.
  rig.clock.advance(1_000);
  await rig.send({ taskId: 'after' });
  await eventually(() => rig.count('receive') === 3);
  expect(await rig.types('ten')).toEqual([]);

  gates.nine.open();
  await eventually(() => running.has('ten'));
  gates.ten.open();
  await eventually(() => running.has('after'));
  gates.after.open();
  await eventually(() => rig.count('ack') === 3);
  expect(together).toEqual([['nine'], ['ten'], ['after']]);
});

it('draws the order of jobs that came back together, so that none stands behind the same one each time', async () => {
  const tasks = Array.from({ length: 12 }, (_, index) => `task-${String(index).padStart(2, '0')}`);
  const orders = [await orderOfReturned(tasks), await orderOfReturned(tasks)];
  expect(orders.map((order) => order.toSorted())).toEqual([tasks, tasks]);
  expect(orders[0]).not.toEqual(orders[1]);
});

async function orderOfReturned(tasks: readonly string[]): Promise<readonly string[]> {
  const rig = new WorkerRig();
  const order: string[] = [];
  await rig.startWorker([demoTask((_payload, { taskId }) => void order.push(taskId))], {}, new NoExecutionClaims());
  const timersOfIdle = rig.clock.pendingTimers;
  for (const taskId of tasks) {
    rig.returns.set(taskId, 10);
    await rig.send({ taskId });
  }
  await eventually(() => rig.clock.pendingTimers === timersOfIdle + tasks.length);
  rig.clock.advance(1_000);
  await eventually(() => rig.count('ack') === tasks.length);
  return order;
}

it('leaves it to the claims who runs alone, where there are any', async () => {
  const rig = new WorkerRig();
  rig.returns.set('often', 50);
  const finish = gate();
  await rig.startWorker([demoTask(() => finish.promise)], { concurrency: 2 });
  await rig.send({ taskId: 'often' });
  await rig.send({ taskId: 'other' });
  await eventually(() => rig.count('append TaskExecutionStarted') === 2);
  finish.open();
});

it('runs no more handlers at one time than it has slots, and claims nothing for the jobs that wait', async () => {
  const rig = new WorkerRig();
  const finish = gate();
  let running = 0;
  let most = 0;
  const task = demoTask(async () => {
    most = Math.max(most, (running += 1));
    await finish.promise;
    running -= 1;
  });
  await rig.startWorker([task], { concurrency: 2, prefetch: 8 });
  for (let index = 0; index < 8; index += 1) await rig.send({ taskId: `task-${index}` });
  await eventually(() => rig.count('receive') === 8 && running === 2);
  expect(rig.count('claim claimed')).toBe(2);
  finish.open();
  await eventually(() => rig.count('ack') === 8);
  expect(most).toBe(2);
});

it('acknowledges a job of an attempt that a later one has replaced', async () => {
  const rig = new WorkerRig();
  await rig.claimAndDie('task-1', 'later', 2);
  await rig.startWorker([demoTask(() => null)]);
  await rig.send({ attempt: 1 });
  await eventually(() => rig.count('ack') === 1);
  expect(rig.effects).toEqual(['receive', 'claim superseded', 'ack']);
});

it('writes the same bytes for an unknown type, whichever worker finds it', async () => {
  const rigs = [new WorkerRig(), new WorkerRig()];
  const records = [];
  for (const [index, rig] of rigs.entries()) {
    rig.clock.advance(index * 5_000);
    await rig.startWorker([demoTask(() => null)], { workerId: `worker-${index}` });
    await rig.send({ type: 'email.welcome', typeVersion: 3 });
    await rig.untilHistoryIs(['TaskExecutionFailed']);
    await eventually(() => rig.count('ack') === 1);
    records.push(...(await rig.records()));
  }
  expect(new Set(records.map(({ value }) => Buffer.from(value).toString())).size).toBe(1);
  expect(new Set(records.map(({ headers }) => new Map(headers).get('ce_id'))).size).toBe(1);
  const [failed] = (await rigs[0]?.eventsOf('TaskExecutionFailed')) ?? [];
  expect(failed).toMatchObject({ taskType: 'email.welcome', taskTypeVersion: 3 });
  expect(failed?.data).toEqual({ attempt: 1, cause: 'unknown-type', error: expect.objectContaining({ code: 'unknown-type', retryable: true }) });
});

it('leaves an attempt of an unknown type alone while another worker holds it', async () => {
  const rig = new WorkerRig();
  await rig.claimAndDie('task-1', 'newer-worker');
  await rig.startWorker([]);
  await rig.send();
  await eventually(() => rig.count('claim held') === 1);
  expect(await rig.types()).toEqual([]);
});

it('runs unguarded while the claims are away, and says so', async () => {
  const rig = new WorkerRig();
  rig.claims.down = true;
  const worker = await rig.startWorker([demoTask(() => null)]);
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect((await rig.eventsOf('TaskExecutionStarted'))[0]?.data.guarded).toBe(false);
  expect(worker.health()).toContainEqual({ name: 'claims', ok: true, detail: 'cannot be reached' });
});

it('records an outcome that the claims could not store', async () => {
  const rig = new WorkerRig();
  await rig.startWorker([demoTask(() => void (rig.claims.down = true))]);
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  await eventually(() => rig.count('ack') === 1);
});

it('waits for the claims when the task requires a guard, before it runs and before it records', async () => {
  const rig = new WorkerRig();
  const guarded = defineTask({ type: 'demo', payload: z.any(), guard: 'required' }) as TaskDefinition;
  let runs = 0;
  const task = handle(guarded, () => {
    runs += 1;
    rig.claims.down = true;
  });
  rig.claims.down = true;
  const worker = await rig.startWorker([task]);
  await rig.send();
  await eventually(() => worker.health().some(({ name, ok }) => name === 'claims' && !ok));
  expect(runs).toBe(0);

  rig.claims.down = false;
  await eventually(() => {
    rig.clock.advance(1_000);
    return runs === 1;
  });
  await eventually(() => worker.health().some(({ name, ok }) => name === 'claims' && !ok));
  rig.claims.down = false;
  await eventually(() => {
    rig.clock.advance(1_000);
    return rig.count('ack') === 1;
  });
  expect(rig.effects).toEqual([
    'receive', 'claim claimed', 'append TaskExecutionStarted', 'store stored', 'append TaskExecutionCompleted', 'ack',
  ]);
  expect((await rig.eventsOf('TaskExecutionStarted'))[0]?.data.guarded).toBe(true);
  expect(runs).toBe(1);
});

it('is ready again without claims once no job waits for them, for then nobody asks whether they are back', async () => {
  const rig = new WorkerRig();
  const guarded = defineTask({ type: 'guarded', payload: z.any(), guard: 'required' }) as TaskDefinition;
  const finish = gate();
  rig.claims.down = true;
  const worker = await rig.startWorker([demoTask(() => finish.promise), handle(guarded, () => null)]);
  await rig.send();
  await eventually(() => worker.health().some(({ name, ok }) => name === 'claims' && !ok));
  finish.open();
  await eventually(() => worker.health().some(({ name, ok }) => name === 'claims' && ok));
});

it('refuses to be built for a task that requires a guard where the claims guard nothing', () => {
  const rig = new WorkerRig();
  const guarded = defineTask({ type: 'demo', payload: z.any(), guard: 'required' }) as TaskDefinition;
  const none = new FaultyClaims(rig.claims.inner, [], false);
  expect(() => rig.worker([handle(guarded, () => null)], {}, none)).toThrow(expect.objectContaining({ code: 'configuration-invalid' }));
});

it('keeps outcomes while the log is away, takes no further job, and goes on when it is back', async () => {
  const rig = new WorkerRig();
  const finish = gate();
  const worker = await rig.startWorker([demoTask(() => finish.promise)]);
  await rig.send();
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  rig.appender.down = true;
  finish.open();
  await eventually(() => worker.health().some(({ name, ok }) => name === 'log' && !ok));
  await rig.send({ taskId: 'task-2' });
  rig.clock.advance(60_000);
  await eventually(() => rig.appender.attempts >= 3);
  expect(rig.effects).toEqual(['receive', 'claim claimed', 'append TaskExecutionStarted', 'store stored']);

  rig.appender.down = false;
  await eventually(() => {
    rig.clock.advance(5_000);
    return rig.count('ack') === 2;
  });
  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect(await rig.types('task-2')).toEqual(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect(worker.health()).toContainEqual({ name: 'log', ok: true, detail: 'takes events' });
});

it('appends again at growing distances while the log is away, bounded by five seconds', async () => {
  const rig = new WorkerRig();
  rig.appender.down = true;
  await rig.startWorker([demoTask(() => null)], { leaseMs: 3_600_000 });
  await rig.send();
  const pausesMs = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
  for (const [index, pauseMs] of pausesMs.entries()) {
    // That of the leases, that of the heartbeats, and the pause.
    await eventually(() => rig.appender.attempts === index + 1 && rig.clock.pendingTimers === 3);
    rig.clock.advance(pauseMs - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(rig.appender.attempts).toBe(index + 1);
    rig.clock.advance(1);
  }
  await eventually(() => rig.appender.attempts === pausesMs.length + 1);
});

it('releases a claim whose start was not recorded when it gives the job back', async () => {
  const rig = new WorkerRig();
  rig.appender.down = true;
  const worker = await rig.startWorker([demoTask(() => null)]);
  await rig.send();
  await eventually(() => rig.count('claim claimed') === 1 && rig.appender.attempts > 0);
  await rig.stopWorker(worker, 10_000);

  expect(rig.effects.slice(-2)).toEqual(['release', 'give back']);
  expect(await rig.claimAndDie('task-1', 'another')).toEqual({ type: 'claimed', deaths: 0 });
});

it('records a failure instead of a result that the log refuses, the same one each time', async () => {
  const rig = new WorkerRig({ maxRecordBytes: 3_000 });
  await rig.startWorker([demoTask(() => 'x'.repeat(4_000))]);
  await rig.send({ issue: 1 });
  await eventually(() => rig.count('ack') === 1);
  await rig.send({ issue: 2 });
  await eventually(() => rig.count('ack') === 2);

  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionFailed', 'TaskExecutionFailed']);
  const [, failed, copy] = await rig.records();
  expect(copy?.value).toEqual(failed?.value);
  const [started] = await rig.eventsOf('TaskExecutionStarted');
  expect((await rig.eventsOf('TaskExecutionFailed'))[0]?.data).toMatchObject({
    executionId: started?.data.executionId, cause: 'handler', error: { code: 'result-too-large', retryable: false },
  });
});

it('drains: finishes what runs, gives back what waits, leaves no timer', async () => {
  const rig = new WorkerRig();
  const finish = gate();
  const worker = await rig.startWorker([demoTask(() => finish.promise)], { concurrency: 1, prefetch: 4 });
  await rig.send({ taskId: 'runs' });
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  await rig.send({ taskId: 'waits' });
  await eventually(() => rig.count('receive') === 2);

  const stopping = worker.stop(10_000);
  expect(worker.stop(1)).toBe(stopping);
  await eventually(() => rig.count('give back') === 1);
  await rig.send({ taskId: 'too late' });
  finish.open();
  await stopping;
  expect(await rig.types('runs')).toEqual(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect(await rig.types('waits')).toEqual([]);
  expect(rig.count('ack')).toBe(1);
  expect(rig.count('receive')).toBe(2);
  expect(rig.clock.pendingTimers).toBe(0);
});

it('asks handlers to end shortly before the deadline, and records what they return then', async () => {
  const rig = new WorkerRig();
  const task = demoTask(async (_payload, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return { stoppedAt: 'checkpoint 3' };
  });
  const worker = await rig.startWorker([task]);
  await rig.send();
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  await rig.stopWorker(worker, 10_000);
  expect(await rig.types()).toEqual(['TaskExecutionStarted', 'TaskExecutionCompleted']);
});

it('breaks off what does not end by the deadline: no outcome, no death, the job is free at once', async () => {
  const rig = new WorkerRig();
  const late = gate<string>();
  const tasks: Record<string, (ctx: HandlerContext) => Promise<unknown>> = {
    ignores: () => late.promise,
    throws: async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason as Error;
    },
  };
  const worker = await rig.startWorker([demoTask((_payload, ctx) => tasks[ctx.taskId]?.(ctx))]);
  await rig.send({ taskId: 'ignores' });
  await rig.send({ taskId: 'throws' });
  await eventually(() => rig.count('append TaskExecutionStarted') === 2);
  await rig.stopWorker(worker, 10_000);

  expect(rig.clock.pendingTimers).toBe(0);
  expect(rig.count('give back')).toBe(2);
  for (const taskId of ['ignores', 'throws']) {
    expect(await rig.types(taskId)).toEqual(['TaskExecutionStarted']);
    expect(await rig.claimAndDie(taskId, 'another')).toEqual({ type: 'claimed', deaths: 0 });
  }
  late.open('too late');
  await eventually(() => rig.logger.lines.some(({ message }) => message.includes('long after it was told to')));
  expect(rig.count('ack')).toBe(0);
});

it('gives a job back, after a pause, when something fails that is no outage', async () => {
  const rig = new WorkerRig();
  const broken = new FaultyClaims(rig.claims.inner);
  broken.claim = () => Promise.reject(new TypeError('a defect'));
  await rig.startWorker([demoTask(() => null)], {}, broken);
  await rig.send();
  await eventually(() => rig.logger.lines.some(({ level }) => level === 'error'));
  rig.clock.advance(999);
  expect(rig.count('give back')).toBe(0);
  await eventually(() => {
    rig.clock.advance(1);
    return rig.count('give back') === 1;
  });
  expect(rig.count('ack')).toBe(0);
});

it('leaves a job that it could not acknowledge to its next delivery, which runs nothing', async () => {
  const rig = new WorkerRig();
  let runs = 0;
  await rig.startWorker([demoTask(() => (runs += 1))]);
  rig.ackFailure = 'queue-unavailable';
  await rig.send({ issue: 1 });
  await eventually(() => rig.count('append TaskExecutionCompleted') === 1);
  rig.ackFailure = null;
  await rig.send({ issue: 2 });
  await eventually(() => rig.count('ack') === 1);
  expect(runs).toBe(1);
  expect(rig.logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

it('runs no handler whose start is recorded only after the drain was over', async () => {
  const rig = new WorkerRig();
  const held = gate();
  let runs = 0;
  const worker = await rig.startWorker([demoTask(() => (runs += 1))]);
  rig.appender.hold = held.promise;
  await rig.send();
  await eventually(() => rig.appender.attempts === 1);
  await rig.stopWorker(worker, 4_000);

  held.open();
  await eventually(() => rig.count('release') === 1);
  expect(runs).toBe(0);
  expect(await rig.types()).toEqual(['TaskExecutionStarted']);
});

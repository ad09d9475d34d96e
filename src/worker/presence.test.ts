import { expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../test/support/eventually.ts';
import { gate, WorkerRig } from '../../test/support/worker-rig.ts';
import { defineTask } from '../task-definition/define-task.ts';
import { handle, type Handler } from '../task-definition/handle.ts';

const demo = defineTask({ type: 'demo', payload: z.any() });
const presenceMs = 15_000;
const heartbeatMs = 5_000;

/** A task whose handler runs until the gate opens. */
function heldBy(open: Promise<void>) {
  return handle(demo, (() => open.then(() => null)) as Handler<unknown, null>);
}

it('says at its start that the worker is there, and again at every third of the presence time', async () => {
  const rig = new WorkerRig();
  const startedAtMs = rig.clock.nowMs();
  await rig.startWorker([heldBy(Promise.resolve())], { workerId: 'worker-7', queues: ['default', 'heavy'], concurrency: 3, presenceMs });
  const said = { workerId: 'worker-7', startedAtMs, stopped: false, queues: ['default', 'heavy'], concurrency: 3, held: [] };
  expect(rig.presence.heard).toEqual([{ ...said, timeMs: startedAtMs }]);

  rig.clock.advance(heartbeatMs - 1);
  expect(rig.presence.heard).toHaveLength(1);
  rig.clock.advance(1);
  rig.clock.advance(heartbeatMs);
  expect(rig.presence.heard.map(({ timeMs }) => timeMs - startedAtMs)).toEqual([0, heartbeatMs, 2 * heartbeatMs]);
});

it('lists a job from the moment it is received until it is settled, waiting or running, each attempt once', async () => {
  const rig = new WorkerRig();
  const end = gate();
  await rig.startWorker([heldBy(end.promise)], { concurrency: 1, presenceMs });
  await rig.send();
  await rig.send({ issue: 2 });
  await rig.send({ taskId: 'task-2', attempt: 4 });
  await eventually(() => rig.count('receive') === 3 && rig.count('append TaskExecutionStarted') === 1);
  rig.clock.advance(heartbeatMs);
  expect(rig.presence.heard.at(-1)?.held).toEqual([{ taskId: 'task-1', attempt: 1 }, { taskId: 'task-2', attempt: 4 }]);

  // Its outcome is recorded, and the queue does not know yet.
  const acknowledging = gate();
  rig.ackHold = acknowledging.promise;
  end.open();
  await eventually(() => rig.count('append TaskExecutionCompleted') === 2);
  rig.clock.advance(heartbeatMs);
  expect(rig.presence.heard.at(-1)?.held).toHaveLength(2);

  acknowledging.open();
  await eventually(() => rig.count('ack') === 3);
  await eventually(() => {
    rig.clock.advance(heartbeatMs);
    return rig.presence.heard.at(-1)?.held.length === 0;
  });
});

it('says goodbye when everything is given back, and nothing after it', async () => {
  const rig = new WorkerRig();
  const worker = await rig.startWorker([heldBy(new Promise(() => {}))], { presenceMs });
  await rig.send();
  await eventually(() => rig.count('append TaskExecutionStarted') === 1);
  await rig.stopWorker(worker, 0);
  expect(rig.count('give back')).toBe(1);
  const stopped = rig.presence.heard.filter((heartbeat) => heartbeat.stopped);
  expect(stopped).toMatchObject([{ held: [] }]);
  expect(rig.presence.heard.at(-1)).toBe(stopped[0]);
  const count = rig.presence.heard.length;
  rig.clock.advance(10 * presenceMs);
  expect(rig.presence.heard).toHaveLength(count);
});

it('goes on working while heartbeats are not taken, and says so once an outage', async () => {
  const rig = new WorkerRig();
  rig.presence.fault = 'away';
  const worker = await rig.startWorker([heldBy(Promise.resolve())], { presenceMs });
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  for (let beat = 0; beat < 3; beat += 1) rig.clock.advance(heartbeatMs);
  const lines = () => rig.logger.lines.filter(({ message }) => message.includes('heartbeat')).map(({ level }) => level);
  await eventually(() => lines().length > 0);
  expect(lines()).toEqual(['warn']);
  expect(worker.health().find(({ name }) => name === 'presence')).toEqual({
    name: 'presence', ok: true, detail: 'heartbeats are not taken: heartbeats are not taken, on purpose',
  });

  rig.presence.fault = null;
  rig.clock.advance(heartbeatMs);
  await eventually(() => lines().length === 2);
  expect(lines()).toEqual(['warn', 'info']);
  expect(worker.health().find(({ name }) => name === 'presence')?.detail).toBe('heartbeats are taken');
});

it('is not held up by heartbeats that nobody answers, not at its end either', async () => {
  const rig = new WorkerRig();
  rig.presence.fault = 'silent';
  const worker = await rig.startWorker([heldBy(Promise.resolve())], { presenceMs });
  await rig.send();
  await rig.untilHistoryIs(['TaskExecutionStarted', 'TaskExecutionCompleted']);
  await eventually(() => rig.count('ack') === 1);
  await rig.stopWorker(worker, 0);
});

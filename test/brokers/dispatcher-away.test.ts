import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { RabbitmqNames } from '../../src/adapters/rabbitmq/rabbitmq-topology.ts';
import type { HeldReceipt } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { expectOneExecutionEach } from '../guarantees/one-execution-each.ts';
import { atDispatch, BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, submit } from '../support/daybook-http.ts';
import type { DaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { depthOf } from '../support/rabbitmq-broker.ts';

const settings = { DAYBOOK_SESSION_MS: '3000' };
const patience = { timeoutMs: 60_000 };
const work = (name: string) => ({ type: 'scenario.effect', payload: { name } });

it.each([
  ['a worker was faster than the next dispatcher', true],
  ['the next dispatcher was faster than a worker', false],
])('records a dispatch that nobody lived to record, and the attempt runs once, when %s', async (_who, workerFirst) => {
  const system = new BrokersSystem(settings);
  const [api, diary, first] = await Promise.all([system.start('api'), system.start('diary'), system.start('dispatcher', atDispatch('the one', 'stall-kafka'))]);
  if (workerFirst) await system.start('worker');
  const types = async (id: string) => (await system.eventsOf(id)).map(({ type }) => type);
  const waiting = () => depthOf(new RabbitmqNames(system.topic).laneQueue('default'));

  // RabbitMQ has the job and has confirmed it; the log does not hear of it.
  const held = await submit(api.url, work('the one'));
  if (workerFirst) await eventually(async () => (await types(held.id)).includes('TaskExecutionCompleted'), patience);
  else await eventually(async () => (await waiting()) === 1, patience);
  const undispatched = workerFirst ? ['TaskAccepted', 'TaskExecutionStarted', 'TaskExecutionCompleted'] : ['TaskAccepted'];
  expect(await types(held.id)).toEqual(undispatched);
  await first.end('SIGKILL');

  await system.start('dispatcher');
  await eventually(async () => (await types(held.id)).includes('TaskDispatched'), patience);
  expect(await types(held.id)).toEqual([...undispatched, 'TaskDispatched']);
  // Nothing is published for an attempt that has run; one that may be lost is, as the same job.
  expect(await waiting()).toBe(workerFirst ? 0 : 2);
  if (!workerFirst) await system.start('worker');
  expect(await finished(diary.url, held.id)).toMatchObject({ state: 'completed', attempt: 1 });
  await eventually(async () => (await waiting()) === 0, patience);

  const evidence = await system.evidence([held]);
  expectOneExecutionEach(evidence, [held.id]);
  expectGuarantees(evidence);
});

it('changes nothing when a dispatcher wakes that was frozen while another took over', async () => {
  const system = new BrokersSystem(settings);
  const [{ api, diary, dispatcher: heir }, sleeper] = await Promise.all([system.startAll(), system.start('dispatcher', atDispatch('at a job', 'freeze'))]);
  await eventually(async () => (await partitionsOf(heir)) === 2 && (await partitionsOf(sleeper)) === 2, patience);
  const receipts: HeldReceipt[] = [];
  const submitAll = (name: string) => Array.from({ length: 40 }, (_, index) => submit(api.url, work(`${name} ${index}`)));

  // It falls asleep with a job on its way to RabbitMQ, then, from outside, wherever it is in the middle of many.
  for (const name of ['at a job', 'at any moment']) {
    const submitted = submitAll(name);
    if (name === 'at any moment') {
      await Promise.any(submitted);
      sleeper.signal('SIGSTOP');
    }
    receipts.push(...(await Promise.all(submitted)));
    await eventually(() => isFrozen(sleeper), patience);
    await eventually(async () => (await partitionsOf(heir)) === 4, patience);
    for (const { id } of receipts) expect(await finished(diary.url, id)).toMatchObject({ state: 'completed', attempt: 1 });
    sleeper.signal('SIGCONT');
    receipts.push(...(await Promise.all(submitAll(`after ${name}`))));
    await eventually(async () => (await partitionsOf(heir)) === 2 && (await partitionsOf(sleeper)) === 2, patience);
    for (const { id } of receipts) expect(await finished(diary.url, id)).toMatchObject({ state: 'completed', attempt: 1 });
  }

  const evidence = await system.evidence(receipts);
  expectOneExecutionEach(evidence, receipts.map(({ id }) => id));
  expectGuarantees(evidence);
  // What it did in its sleep's first moment it recorded when it woke, beside its heir, who did so long before.
  const dispatches = evidence.records.filter(({ type }) => type === 'TaskDispatched');
  expect(dispatches.length).toBeGreaterThan(receipts.length);
});

/** How many partitions it acts on. */
async function partitionsOf({ url }: DaybookProcess): Promise<number> {
  const { body } = await get<{ dependencies: Record<string, { detail: string }> }>(`${url}/readyz`);
  return Number(/^at the live edge of (\d+) partitions$/.exec(body.dependencies['dispatcher.log']?.detail ?? '')?.[1] ?? -1);
}

/** Stopped by a signal, as Linux tells. */
function isFrozen({ pid }: DaybookProcess): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

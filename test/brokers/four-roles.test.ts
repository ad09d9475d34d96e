import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, projection, submit } from '../support/daybook-http.ts';
import { readEffects } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';

// The roles as separate processes on Kafka, RabbitMQ and PostgreSQL.

const patience = { timeoutMs: 60_000 };

/** What a number of tasks is to go through: every fourth one fails once before it succeeds. */
const workOf = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({
    type: 'scenario.effect',
    payload: { name: `task ${from + index}`, ...(index % 4 === 0 ? { failures: 1 } : {}) },
  }));

it('carries tasks through four processes, and the log tells every step', async () => {
  const system = new BrokersSystem();
  const { api, diary, dispatcher, worker } = await system.startAll();
  const receipts = await Promise.all(workOf(40).map((work) => submit(api.url, work)));
  for (const { id } of receipts) expect(await finished(diary.url, id)).toMatchObject({ state: 'completed' });

  const [failing, smooth] = receipts;
  const steps = async (id: string) => (await system.eventsOf(id)).map(({ type }) => type);
  // A dispatch is recorded after the broker's confirm, so a quick worker's start may stand before it.
  const withoutDispatches = async (id: string) => (await steps(id)).filter((type) => type !== 'TaskDispatched');
  expect(await withoutDispatches(smooth!.id)).toEqual(['TaskAccepted', 'TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect(await withoutDispatches(failing!.id)).toEqual([
    'TaskAccepted', 'TaskExecutionStarted', 'TaskExecutionFailed', 'TaskRetryScheduled', 'TaskExecutionStarted', 'TaskExecutionCompleted',
  ]);
  expect((await steps(failing!.id)).filter((type) => type === 'TaskDispatched')).toHaveLength(2);
  expect(new Set((await system.records()).map(({ partition }) => partition)).size).toBe(4);

  for (const role of [api, diary, dispatcher, worker]) {
    expect(await get(`${role.url}/readyz`)).toMatchObject({ status: 200 });
    expect(await role.end('SIGTERM')).toEqual({ code: 0, signal: null });
  }
  expectGuarantees(await system.evidence(receipts));
});

it('runs an attempt again, under another execution id, when its worker was killed in the middle', async () => {
  const system = new BrokersSystem();
  const { api, diary, worker } = await system.startAll();
  const gate = join(system.folder, 'gate');
  const held = await submit(api.url, { type: 'scenario.effect', payload: { name: 'held', untilFile: gate } });
  await eventually(() => readEffects(system.folder).length === 1, patience);
  await worker.end('SIGKILL');
  const killedMs = Date.now();
  await system.start('worker');
  // Within the lease of 3 s and 5 s more.
  await eventually(() => readEffects(system.folder).length === 2, { timeoutMs: 3_000 + 5_000 - (Date.now() - killedMs) + 2_000 });
  writeFileSync(gate, '');
  expect(await finished(diary.url, held.id)).toMatchObject({ state: 'completed', attempt: 1 });
  const starts = (await system.eventsOf(held.id)).filter(({ type }) => type === 'TaskExecutionStarted');
  expect(starts.map(({ data }) => data.attempt)).toEqual([1, 1]);
  expect(new Set(starts.map(({ data }) => data.executionId)).size).toBe(2);
});

it('loses nothing while dispatchers and workers come, go and are killed under load', async () => {
  const system = new BrokersSystem();
  const { api, diary, dispatcher, worker } = await system.startAll();
  const more = await Promise.all([system.start('dispatcher'), system.start('worker')]);
  const receipts = [];
  for (let round = 0; round < 6; round++) {
    receipts.push(...(await Promise.all(workOf(40, round * 40).map((work) => submit(api.url, work)))));
    if (round === 1) await dispatcher.end('SIGKILL');
    if (round === 2) await worker.end('SIGKILL');
    if (round === 3) await Promise.all([system.start('dispatcher'), system.start('worker')]);
    if (round === 4) await more[0].end('SIGTERM');
  }
  for (const { id } of receipts) expect(await finished(diary.url, id)).toMatchObject({ state: 'completed' });
  await eventually(async () => (await projection(diary.url)).lag === 0, patience);
  expectGuarantees(await system.evidence(receipts));
});

it('goes on executing without a diary, which catches up, and rebuilds its dropped tables to what they were', async () => {
  const system = new BrokersSystem();
  const { api, diary } = await system.startAll();
  await diary.end('SIGKILL');
  const receipts = await Promise.all(workOf(20).map((work) => submit(api.url, work)));
  await eventually(async () => (await system.records()).filter(({ type }) => type === 'TaskExecutionCompleted').length === 20, patience);
  const again = await system.start('diary');
  for (const { id } of receipts) expect(await finished(again.url, id)).toMatchObject({ state: 'completed' });
  const before = await projection(again.url);
  const tables = await system.sql<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${system.schema}' AND table_name NOT LIKE 'claims%' AND table_name <> 'version'`,
  );
  for (const { name } of tables) await system.sql(`DROP TABLE IF EXISTS ${system.schema}."${name}" CASCADE`);
  const logEnd = (await system.records()).length;
  const rebuilt = await eventually(async () => {
    const { status } = await get(`${again.url}/v1/tasks/${receipts[0]!.id}`);
    expect([200, 503]).toContain(status);
    const now = await projection(again.url);
    return now.lastRebuild !== null && now.lastRebuild.operation !== before.lastRebuild?.operation && now.lag === 0 ? now : null;
  }, patience);
  expect(rebuilt.digest).toBe(before.digest);
  expect((await system.records()).length).toBe(logEnd);
});

it('publishes and appends nothing when a finished history meets a fresh dispatcher', async () => {
  const system = new BrokersSystem();
  const { api, diary, dispatcher } = await system.startAll();
  const receipts = await Promise.all(workOf(20).map((work) => submit(api.url, work)));
  for (const { id } of receipts) await finished(diary.url, id);
  await dispatcher.end('SIGTERM');
  const before = (await system.records()).length;
  const fresh = await system.start('dispatcher');
  await eventually(async () => {
    const { body } = await get<{ dependencies: Record<string, { detail: string }> }>(`${fresh.url}/readyz`);
    return body.dependencies['dispatcher.log']?.detail === 'at the live edge of 4 partitions';
  }, patience);
  // Whatever it would do it would do at once: a task that is submitted now comes after it.
  const last = await submit(api.url, { type: 'scenario.effect', payload: { name: 'last' } });
  await finished(diary.url, last.id);
  // The record of its dispatch may come after that of its end: it is written after the job went out.
  await eventually(async () => (await system.records()).length >= before + 4, patience);
  expect((await system.records()).length).toBe(before + 4);
  expectGuarantees(await system.evidence([...receipts, last]));
});

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, submit } from '../support/daybook-http.ts';
import type { DaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';

// A dispatcher that is replaced goes on from the snapshots of the one before.

const patience = { timeoutMs: 60_000 };
const work = (name: string) => ({ type: 'scenario.effect', payload: { name } });
/** Snapshots are to be there soon after the work is done. */
const often = { DAYBOOK_SNAPSHOT_MS: '300', DAYBOOK_LOG_LEVEL: 'info' };

const atLiveEdge = (dispatcher: DaybookProcess) =>
  eventually(async () => {
    const { body } = await get<{ dependencies: Record<string, { detail: string }> }>(`${dispatcher.url}/readyz`);
    return body.dependencies['dispatcher.log']?.detail === 'at the live edge of 4 partitions';
  }, patience);

/** Where a dispatcher that has ended began to read, by partition. */
async function restoredBy(dispatcher: DaybookProcess): Promise<Record<string, number>> {
  const lines = (await dispatcher.said).split('\n').filter((line) => line.includes('partitions are taken over'));
  return Object.assign({}, ...lines.map((line) => (JSON.parse(line) as { restored: Record<string, number> }).restored)) as Record<string, number>;
}

/** The end of each partition that holds anything. */
async function endsOf(system: BrokersSystem): Promise<Record<string, number>> {
  const ends: Record<string, number> = {};
  for (const { partition, offset } of await system.records()) ends[partition] = offset + 1;
  return ends;
}

it('publishes and appends nothing of a finished history, and reads none of it, when a snapshot covers it', async () => {
  const system = new BrokersSystem();
  const { api, diary, dispatcher } = await system.startAll();
  const receipts = await Promise.all(Array.from({ length: 20 }, (_, index) => submit(api.url, work(`task ${index}`))));
  for (const { id } of receipts) await finished(diary.url, id);
  expect(await dispatcher.end('SIGTERM')).toMatchObject({ code: 0 });
  const before = await endsOf(system);

  const fresh = await system.start('dispatcher', often);
  await atLiveEdge(fresh);
  // Whatever it would do it would do at once: a task that is submitted now comes after it.
  const last = await submit(api.url, work('last'));
  await finished(diary.url, last.id);
  const expected = Object.values(before).reduce((sum, end) => sum + end, 0) + 4;
  // The record of its dispatch may come after that of its end.
  await eventually(async () => (await system.records()).length >= expected, patience);
  expect((await system.records()).length).toBe(expected);
  await fresh.end('SIGTERM');
  expect(await restoredBy(fresh)).toEqual(before);
  expectGuarantees(await system.evidence([...receipts, last]));
});

it('goes on from the last snapshot when the dispatcher was killed, on files where there is no PostgreSQL', async () => {
  const system = new BrokersSystem();
  const settings = { ...often, DAYBOOK_POSTGRES_URL: '' };
  const [api, dispatcher] = await Promise.all([system.start('api'), system.start('dispatcher', settings), system.start('worker')]);
  const held = await submit(api.url, { ...work('held'), options: { notBefore: '10s' } });
  const receipts = await Promise.all(Array.from({ length: 20 }, (_, index) => submit(api.url, work(`task ${index}`))));
  await eventually(async () => (await system.records()).filter(({ type }) => type === 'TaskExecutionCompleted').length === 20, patience);
  const ends = await endsOf(system);
  const files = Object.keys(ends).map((partition) => join(system.folder, 'snapshots', `${system.topic}.${partition}.snapshot`));
  await eventually(() => files.every((file) => existsSync(file)), patience);
  await dispatcher.end('SIGKILL');

  const fresh = await system.start('dispatcher', settings);
  const diary = await system.start('diary');
  expect(await finished(diary.url, held.id)).toMatchObject({ state: 'completed', attempt: 1 });
  await fresh.end('SIGTERM');
  const restored = await restoredBy(fresh);
  expect(Object.keys(restored)).toEqual(Object.keys(ends));
  for (const [partition, position] of Object.entries(restored)) {
    expect(position).toBeGreaterThan(0);
    expect(position).toBeLessThanOrEqual(ends[partition]!);
  }
  expectGuarantees(await system.evidence([held, ...receipts]));
});

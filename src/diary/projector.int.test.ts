import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { diaryRig, type DiaryRig } from '../../test/support/diary-rig.ts';
import { eventually } from '../../test/support/eventually.ts';
import { history } from '../../test/support/task-history.ts';
import { taskId } from '../../test/support/stored-records.ts';
import { openDatabase } from '../adapters/embedded/sqlite-database.ts';
import { SqliteProjectionStore } from '../adapters/embedded/sqlite-projection-store.ts';
import { projectionFile } from '../adapters/embedded/sqlite-projection-schema.ts';
import type { LogRecord } from '../domain/log-record.ts';
import type { ProjectionBatch } from '../ports/projection-store.ts';
import { prepareBatch } from './fold-batch.ts';
import type { Projector } from './projector.ts';

const finished = (number: number) =>
  history(taskId(number)).accepted().dispatched(1).started(1, `e-${number}`).completed(1, `e-${number}`).records;
const retried = (number: number) =>
  history(taskId(number)).accepted().started(1, 'a').failed(1, 'a').again().retryScheduled(2).dispatched(2).started(2, 'b').completed(2, 'b').records;
const everything = [finished(1), retried(2), history(taskId(3)).garbage().accepted().ofNewerBuild().records, history(taskId(4)).rejected().records].flat();
/** By how much a timer may come early. */
const timerMs = 2;
const withoutKey: LogRecord = { key: '', headers: [], value: new Uint8Array([1, 2, 3]) };

it('shows what is in the log, and what comes', async () => {
  const rig = diaryRig();
  await rig.append(...finished(1));
  await rig.startProjector();
  expect((await rig.projections.task(taskId(1))).row?.state.end?.kind).toBe('completed');
  await rig.append(...finished(2));
  await rig.caughtUp();
  expect((await rig.projections.task(taskId(2))).row?.offsets).toEqual([4, 5, 6, 7]);
});

it('rests three times as long as a batch took, and then takes everything that came', async () => {
  const rig = diaryRig();
  const store = new SlowStore(rig.folder);
  onTestFinished(() => store.close());
  await rig.startProjector(store);
  for (let number = 1; number <= 50; number++) {
    await rig.append(...finished(number));
    await delay(10);
  }
  await rig.caughtUp();
  const { batches } = store;
  for (const [index, { endMs, tookMs }] of batches.slice(0, -1).entries()) {
    expect((batches[index + 1]?.beginMs ?? 0) - endMs).toBeGreaterThanOrEqual(Math.min(300, 3 * tookMs) - timerMs);
  }
  expect(batches.length).toBeGreaterThan(1);
  expect(batches.length).toBeLessThan(20);
});

it('keeps and counts what it cannot read, and goes on', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(withoutKey, ...history(taskId(1)).garbage().accepted().records, withoutKey, ...finished(2));
  await rig.caughtUp();
  const [status] = await projector.projections();
  expect(status).toMatchObject({ lag: 0, quarantined: 2, tasks: 2, positions: { 0: 8 } });
  expect((await rig.projections.task(taskId(1))).row?.state.anomalies).toMatchObject([{ code: 'unreadable' }]);
  expect(await projector.metrics()).toMatchObject({ quarantined: 2, events: { Unreadable: 1, TaskAccepted: 2 }, voids: { unreadable: 1 } });
});

it('goes on from the stored positions after a restart, and counts nothing twice', async () => {
  const rig = diaryRig();
  const first = await rig.startProjector();
  await rig.append(...finished(1));
  await rig.caughtUp();
  await first.stop(1_000);
  await rig.append(...finished(2));
  const second = await rig.startProjector();
  await rig.caughtUp();
  expect((await second.metrics()).events).toEqual({ TaskAccepted: 1, TaskDispatched: 1, TaskExecutionStarted: 1, TaskExecutionCompleted: 1 });
});

it('gives the same rows when two projectors own the same tables', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.startProjector();
  for (const record of everything) await rig.append(record);
  await rig.caughtUp();
  const shared = await rig.digest();
  expect(shared).toBe(await digestOfOneBatch(everything, rig));
});

it('gives the same rows when batches overlap, are delivered twice, or hold one record each', async () => {
  const rig = diaryRig();
  const positions = await rig.append(...everything);
  const records = (await rig.reader.readAt(positions)).flatMap((record) => record ?? []);
  await rig.store.startRebuild(rig.log.identity);
  for (const [from, to] of [[0, 3], [0, 3], [2, 5], [3, 4], [3, 4], [4, 9], [5, 9], [9, records.length]] as const) {
    const expected = new Map(from === 0 ? [] : [[0, from]]);
    await rig.store.applyBatch({ generation: 'rebuild', expected, ...prepareBatch(expected, records.slice(from, to)) });
  }
  expect(await rig.store.swap(new Map([[0, records.length]]))).toBe(true);
  expect(await rig.digest()).toBe(await digestOfOneBatch(everything, rig));
});

it('rebuilds beside the live rows to the same digest, and writes nothing but rows', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...everything);
  await rig.caughtUp();
  const logBefore = contentOf(rig);
  const filesBefore = readdirSync(rig.folder);
  const before = await rig.digest();
  const { operation } = await projector.rebuild('tasks');
  expect(await projector.rebuild('tasks')).toEqual({ operation });
  expect(await finishedRebuild(projector, operation)).toMatchObject({
    ...{ equal: true, digestBefore: before, digestAfter: before, events: everything.length, error: null },
  });
  expect(contentOf(rig)).toEqual(logBefore);
  expect(readdirSync(rig.folder)).toEqual(filesBefore);
});

it('tells when the live rows are not what the log says, and repairs them', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...everything);
  await rig.caughtUp();
  const sound = await rig.digest();
  const database = openDatabase(join(rig.folder, projectionFile));
  database.exec(`UPDATE attempts SET worker_id = 'somebody-else' WHERE task_id = '${taskId(1)}'`);
  database.close();
  const { operation } = await projector.rebuild('tasks');
  const report = await finishedRebuild(projector, operation);
  expect(report).toMatchObject({ equal: false, digestAfter: sound });
  expect(report.digestBefore).not.toBe(sound);
  expect(await rig.digest()).toBe(sound);
});

it('goes on serving and advancing the live rows while it rebuilds under load', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...everything);
  const { operation } = await projector.rebuild('tasks');
  for (let number = 10; number < 40; number++) {
    await rig.append(...finished(number));
    expect((await rig.projections.task(taskId(1))).view.positions.get(0)).toBeGreaterThan(0);
  }
  expect(await finishedRebuild(projector, operation)).toMatchObject({ equal: true });
  await rig.caughtUp();
  expect((await rig.projections.task(taskId(39))).row?.state.end?.kind).toBe('completed');
});

it('notices dropped tables while it is idle and derives the same rows again; until then readers are told so', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...everything);
  await rig.caughtUp();
  const before = await rig.digest();
  rig.dropTables();
  await expect(rig.projections.task(taskId(1))).rejects.toMatchObject({ code: 'projection-rebuilding' });
  await eventually(async () => (await rig.digest()) === before, { timeoutMs: 10_000 });
  expect(projector.health().every(({ ok }) => ok)).toBe(true);
  expect((await projector.projections())[0]?.lastRebuild).toMatchObject({ equal: null, digestAfter: before });
});

it('is not ready, and says why, when the read model is ahead of the log', async () => {
  const rig = diaryRig();
  await rig.append(...finished(1));
  await rig.store.startRebuild(rig.log.identity);
  await rig.store.applyBatch({ ...prepareBatch(new Map(), []), generation: 'rebuild', expected: new Map(), next: new Map([[0, 9]]) });
  await rig.store.swap(new Map([[0, 9]]));
  const projector = await rig.startProjector();
  expect(projector.health()).toContainEqual({ name: 'log', ok: false, detail: expect.stringContaining('up to offset 9, but the log ends at 4') });
});

it('is not ready, and says why, when the read model belongs to another log', async () => {
  const rig = diaryRig();
  await rig.store.startRebuild('another-log');
  await rig.store.swap(new Map());
  const projector = await rig.startProjector();
  expect(projector.health()).toContainEqual({ name: 'log', ok: false, detail: expect.stringContaining('derived from log another-log') });
});

it('derives its counters from events', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...retried(1), ...history(taskId(2)).accepted().dispatched(1).failed(1, null, { cause: 'unknown-type' }).failedPermanently().records);
  await rig.caughtUp();
  const metrics = await projector.metrics();
  expect(metrics.failures).toEqual({ handler: 1, 'unknown-type': 1 });
  expect(metrics.permanentFailures).toEqual({ 'attempts-exhausted': 1 });
  expect(metrics.acceptedToDispatched).toMatchObject({ count: 1, sumMs: 1_000 });
  expect(metrics.dispatchedToFinished).toMatchObject({ count: 2, sumMs: 4_000 });
});

/** As when the rows are in a server that is busy. */
class SlowStore extends SqliteProjectionStore {
  readonly batches: { readonly beginMs: number; readonly endMs: number; readonly tookMs: number }[] = [];

  override async applyBatch(batch: ProjectionBatch): Promise<boolean> {
    const beginMs = performance.now();
    await delay(40);
    const isSaved = await super.applyBatch(batch);
    const endMs = performance.now();
    this.batches.push({ beginMs, endMs, tookMs: endMs - beginMs });
    return isSaved;
  }
}

/** What the same log gives when it is folded in one batch, in a folder of its own. */
async function digestOfOneBatch(records: readonly LogRecord[], rig: DiaryRig): Promise<string | undefined> {
  const other = diaryRig();
  const stored = (await rig.reader.readAt(records.map((_, offset) => ({ partition: 0, offset })))).flatMap((record) => record ?? []);
  const store = new SqliteProjectionStore(other.folder);
  await store.startRebuild('any');
  await store.applyBatch({ generation: 'rebuild', expected: new Map(), ...prepareBatch(new Map(), stored) });
  const { rebuild } = await store.summaries(['rebuild']);
  await store.close();
  return rebuild?.digest;
}

async function finishedRebuild(projector: Projector, operation: string) {
  return eventually(async () => {
    const [status] = await projector.projections();
    return status?.lastRebuild?.operation === operation ? status.lastRebuild : null;
  });
}

function contentOf(rig: DiaryRig): unknown {
  const rows = (table: string) => rig.log.database.prepare(`SELECT * FROM ${table}`).all();
  return { log: rows('log'), jobs: rows('jobs'), claims: rows('claims'), end: rig.log.tail.end };
}

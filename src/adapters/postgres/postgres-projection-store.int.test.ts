import { expect, it, onTestFinished } from 'vitest';
import { projectionStoreContract } from '../../../test/contracts/projection-store.contract.ts';
import { diaryRig, silentLogger } from '../../../test/support/diary-rig.ts';
import { eventually } from '../../../test/support/eventually.ts';
import {
  dropProjectionTables, openProjections, postgresProjectionStoreHarness, PostgresUnderTest, waitForLocks,
} from '../../../test/support/postgres-harness.ts';
import { storedRecords, taskId } from '../../../test/support/stored-records.ts';
import { history } from '../../../test/support/task-history.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { SqliteProjectionStore } from '../../adapters/embedded/sqlite-projection-store.ts';
import { prepareBatch } from '../../diary/fold-batch.ts';
import { Projector } from '../../diary/projector.ts';
import type { LogRecord, Positions } from '../../domain/log-record.ts';
import type { Generation, ProjectionStore } from '../../ports/projection-store.ts';
import { projectionTables } from './postgres-projection-schema.ts';

projectionStoreContract({ name: 'PostgreSQL', create: postgresProjectionStoreHarness });

const log = 'log-1';

it('gives the digest that SQLite gives for the same rows', async () => {
  const { store } = await opened();
  const sqlite = new SqliteProjectionStore(temporaryFolder());
  onTestFinished(() => sqlite.close());
  const stray: LogRecord = { ...(completed(1)[0] as LogRecord), key: '' };
  const records = [
    ...completed(1),
    ...begun(10).failed(1, 'e-10').retryScheduled(2).dispatched(2).started(2, 'e-11').progressed(2, 'e-11', 1).completed(2, 'e-11').records,
    ...begun(2).failed(1, null, { cause: 'crash-loop', retryable: false }).failedPermanently().records,
    ...history(taskId(3)).accepted({ batch: 'b|1', tags: { 'ü|': "o'clock", b: '', a: 'Ärger 🎈' } }).cancellationRequested().cancelled().records,
    ...history(taskId(4)).rejected().records,
    ...history('only strays: ß').dispatched(1).garbage().records,
    ...history('').records,
    stray,
  ];
  const summaries = [];
  for (const each of [store, sqlite]) {
    await each.startRebuild(log);
    for (let offset = 0; offset < records.length; offset += 7) {
      await apply(each, 'rebuild', positionsAt(offset), records.slice(offset, offset + 7), offset);
    }
    summaries.push((await each.summaries(['rebuild'])).rebuild);
  }
  expect(summaries[0]).toMatchObject({ tasks: 6, quarantined: 1 });
  expect(summaries[0]).toEqual(summaries[1]);
});

it('lets one of two owners apply a batch, and the other one nothing', async () => {
  const { postgres, store } = await built([]);
  const { store: second } = openProjections(postgres);
  for (let round = 0; round < 10; round += 1) {
    const from = positionsAt(round * 4);
    const applied = await Promise.all([store, second].map((owner) => apply(owner, 'live', from, completed(round), round * 4)));
    expect(applied.toSorted()).toEqual([false, true]);
  }
  expect((await store.summaries(['live'])).live).toMatchObject({ tasks: 10, positions: new Map([[0, 40]]) });
});

it('applies a batch of 5,000 tasks at once, and reads them back for the next', async () => {
  const { store, reader } = await built([]);
  const accepted = Array.from({ length: 5_000 }, (_, number) => history(taskId(number)).accepted({ tags: { number: String(number) } }));
  const all = accepted.flatMap(({ records }) => records);
  expect(await apply(store, 'live', positionsAt(0), all)).toBe(true);
  const dispatched = accepted.flatMap((task) => task.dispatched(1).started(1, `e-${task.taskId}`).records.slice(1));
  expect(await apply(store, 'live', positionsAt(5_000), dispatched, 5_000)).toBe(true);
  const { rows } = await reader.list({ filter: { phases: ['running'], tags: { number: '4711' } }, after: null, limit: 10 });
  expect(rows.map(({ state }) => state.taskId)).toEqual([taskId(4_711)]);
  expect((await store.summaries(['live'])).live?.tasks).toBe(5_000);
});

it('finds a batch applied whose commit had no answer', async () => {
  const { postgres, store, reader } = await built(completed(1));
  postgres.proxy.loseAnswerTo('COMMIT');
  await expect(apply(store, 'live', positionsAt(4), completed(2), 4)).rejects.toMatchObject({ code: 'projection-unavailable' });
  expect(postgres.proxy.lostAnswers).toBe(1);
  expect(await apply(store, 'live', positionsAt(4), completed(2), 4)).toBe(false);
  expect(await store.positions('live', log)).toEqual(positionsAt(8));
  expect((await reader.task(taskId(2))).row?.offsets).toEqual([4, 5, 6, 7]);
});

it('changes nothing when its session is ended in the middle of a batch', async () => {
  const { postgres, store } = await built(completed(1));
  const before = await store.summaries(['live']);
  await postgres.admin.query(`BEGIN; LOCK TABLE ${postgres.schema}.quarantine`);
  const stray: LogRecord = { ...(completed(1)[0] as LogRecord), key: '' };
  const applying = expect(apply(store, 'live', positionsAt(4), [...completed(2), stray], 4)).rejects.toMatchObject({ code: 'projection-unavailable' });
  await waitForLocks(postgres, 1);
  await postgres.terminateSessions();
  await applying;
  await postgres.admin.query('ROLLBACK');
  expect(await store.summaries(['live'])).toEqual(before);
  expect(await apply(store, 'live', positionsAt(4), [...completed(2), stray], 4)).toBe(true);
});

it('waits with a swap while a summary is taken, and lets readers go on meanwhile', async () => {
  const { postgres, store, reader } = await built(completed(1));
  await store.startRebuild(log);
  await apply(store, 'rebuild', positionsAt(0), completed(1));
  const lock = `hashtextextended('daybook tables of ${postgres.schema}', 0)`;
  await postgres.admin.query(`SELECT pg_advisory_lock_shared(${lock})`);
  const swapping = store.swap(positionsAt(4));
  await waitForLocks(postgres, 1);
  expect((await reader.view()).positions).toEqual(positionsAt(4));
  await postgres.admin.query(`SELECT pg_advisory_unlock_shared(${lock})`);
  expect(await swapping).toBe(true);
});

it('shows readers either generation while generations are swapped, never a mixture', async () => {
  const { store, reader } = await built(completed(1));
  let reading = true;
  const read = (async () => {
    for (; reading; ) {
      const { rows, view } = await reader.list({ filter: {}, after: null, limit: 10 });
      expect([rows.length, view.positions.get(0)]).toEqual([1, 4]);
    }
  })();
  for (let round = 0; round < 15; round += 1) {
    await store.startRebuild(log);
    await apply(store, 'rebuild', positionsAt(0), completed(1));
    expect(await store.swap(positionsAt(4))).toBe(true);
  }
  reading = false;
  await read;
});

it('answers from the new generation a question that had to wait for the swap', async () => {
  const { postgres, store, reader } = await built(completed(1));
  await postgres.admin.query(`BEGIN; LOCK TABLE ${postgres.schema}.meta`);
  const answer = reader.task(taskId(2));
  await waitForLocks(postgres, 1);
  await store.startRebuild(log);
  await apply(store, 'rebuild', positionsAt(0), [...completed(1), ...completed(2)]);
  for (const table of projectionTables) {
    await postgres.admin.query(`DROP TABLE ${postgres.schema}.${table}; ALTER TABLE ${postgres.schema}.rebuild_${table} RENAME TO ${table}`);
  }
  await postgres.admin.query('COMMIT');
  expect(await answer).toMatchObject({ row: { offsets: [4, 5, 6, 7] }, view: { positions: positionsAt(8) } });
});

it('sums up one moment, while batches go on', async () => {
  const { postgres, store } = await built(completed(1));
  const before = await store.summaries(['live']);
  // The summary knows its positions already, and waits in the middle of its work.
  await postgres.admin.query(`BEGIN; LOCK TABLE ${postgres.schema}.quarantine`);
  const summary = store.summaries(['live']);
  await waitForLocks(postgres, 1);
  expect(await apply(store, 'live', positionsAt(4), completed(2), 4)).toBe(true);
  await postgres.admin.query('ROLLBACK');
  expect(await summary).toEqual(before);
});

it('serves nothing of a generation of which a part was dropped, once that was noticed', async () => {
  const { postgres, store, reader } = await built(completed(1));
  await dropProjectionTables(postgres, ['attempts']);
  expect(await store.positions('live', log)).toBeNull();
  await expect(reader.task(taskId(1))).rejects.toMatchObject({ code: 'projection-rebuilding' });
});

it('takes tables of another version for gone, and replaces them by the next swap', async () => {
  const { postgres, store, reader } = await built(completed(1));
  await postgres.admin.query(`UPDATE ${postgres.schema}.meta SET version = 'of another Daybook'`);
  await expect(reader.view()).rejects.toMatchObject({ code: 'projection-rebuilding' });
  expect(await store.positions('live', log)).toBeNull();
  await build(store, completed(2));
  expect((await reader.task(taskId(2))).row?.state.end?.kind).toBe('completed');
});

it('keeps texts that PostgreSQL cannot hold as they are, and finds them again', async () => {
  const ids = ['a\0b', 'a\u0001\u0001b', 'a\u0001b', 'a\ufffdb'];
  const records = ids.flatMap((id) => history(id).accepted({ tags: { 'n\0': `v\0${id}`, lone: '\ud800' } }).records);
  const { store, reader } = await built(records);
  for (const [offset, id] of ids.entries()) {
    expect((await reader.task(id)).row).toMatchObject({ offsets: [offset], state: { taskId: id } });
    const { rows } = await reader.list({ filter: { tags: { 'n\0': `v\0${id}` } }, after: null, limit: 10 });
    expect(rows.map(({ state }) => state.taskId)).toEqual([id]);
  }
  const found: string[] = [];
  const next = positionsAt(9);
  await store.applyBatch({
    ...{ generation: 'live', expected: positionsAt(4), next, lastEventMs: 0, taskIds: ids, quarantined: [] },
    change: (stored) => {
      found.push(...stored.keys());
      return [];
    },
  });
  expect(found.toSorted()).toEqual(ids.toSorted());
});

it('is derived again by itself when another client drops its tables', async () => {
  const { postgres, store, reader } = await opened();
  const rig = diaryRig();
  await rig.append(...completed(1), ...completed(2));
  const projector = new Projector({ reader: rig.reader, store, clock: rig.clock, logger: silentLogger });
  onTestFinished(() => projector.stop(5_000));
  await projector.start();
  const before = await store.summaries(['live']);
  expect(before.live?.tasks).toBe(2);
  for (const tables of [projectionTables, ['tags']]) {
    await dropProjectionTables(postgres, tables);
    // The first question may come before the drop was noticed; then the model was never gone for its readers.
    await eventually(async () => (await projector.projections())[0]?.state === 'live' && (await reader.view()).positions.get(0) === 8, { timeoutMs: 10_000 });
    await eventually(async () => (await store.summaries(['live'])).live?.digest === before.live?.digest, { timeoutMs: 10_000 });
  }
});

it('is unavailable while the server is away, and works again by itself', async () => {
  const { postgres, store, reader } = await built(completed(1));
  postgres.proxy.cut();
  for (const ask of [() => store.positions('live', log), () => store.swap(positionsAt(4)), () => reader.view()]) {
    await expect(ask()).rejects.toMatchObject({ code: 'projection-unavailable' });
  }
  expect(store.health().ok).toBe(false);
  postgres.proxy.mend();
  expect(await store.positions('live', log)).toEqual(positionsAt(4));
  expect((await reader.view()).positions).toEqual(positionsAt(4));
  expect(store.health().ok).toBe(true);
});

async function opened() {
  const postgres = await PostgresUnderTest.open();
  onTestFinished(() => postgres.close());
  return { postgres, ...openProjections(postgres) };
}

/** A store whose live rows are those of the records. */
async function built(records: readonly LogRecord[]) {
  const rig = await opened();
  await build(rig.store, records);
  return rig;
}

async function build(store: ProjectionStore, records: readonly LogRecord[]): Promise<void> {
  await store.startRebuild(log);
  if (records.length > 0) expect(await apply(store, 'rebuild', positionsAt(0), records)).toBe(true);
  expect(await store.swap(positionsAt(records.length))).toBe(true);
}

function apply(store: ProjectionStore, generation: Generation, expected: Positions, records: readonly LogRecord[], firstOffset = 0): Promise<boolean> {
  return store.applyBatch({ generation, expected, ...prepareBatch(expected, storedRecords(records, firstOffset)) });
}

function positionsAt(offset: number): Positions {
  return offset === 0 ? new Map() : new Map([[0, offset]]);
}

function begun(number: number) {
  return history(taskId(number)).accepted().dispatched(1).started(1, `e-${number}`);
}

function completed(number: number): readonly LogRecord[] {
  return begun(number).completed(1, `e-${number}`).records;
}


import { expect } from 'vitest';
import { prepareBatch } from '../../src/diary/fold-batch.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import type { LogRecord, Positions } from '../../src/domain/log-record.ts';
import type { ProjectionReader, TaskFilter } from '../../src/ports/projection-reader.ts';
import type { Generation, ProjectionStore } from '../../src/ports/projection-store.ts';
import { history, second, type TaskHistory } from '../support/task-history.ts';
import { storedRecords, taskId } from '../support/stored-records.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

/**
 * What every projection store and its reader promise. Not promised: that the newest batches survive a crash (they are
 * derived again), nor any speed.
 */
export function projectionStoreContract(adapter: AdapterUnderTest<ProjectionStoreHarness>): void {
  describeContract('ProjectionStore', projectionStoreChecks, adapter);
}

export interface ProjectionStoreHarness extends ContractHarness {
  open(): Promise<Projections>;
  /** Leaves what was opened as a dead process does, and opens again. */
  reopenAfterCrash(): Promise<Projections>;
  /** What an operator does: drops every table of the read model, or one of them. */
  dropTables(which: 'all' | 'one'): Promise<void>;
}

export interface Projections {
  readonly store: ProjectionStore;
  readonly reader: ProjectionReader;
}

type Check = ContractCheck<ProjectionStoreHarness>;

const log = 'log-1';
const nowhere: Positions = new Map();

const generations: Check[] = [
  {
    name: 'has no rows to serve before a first generation was built, and says so',
    async run(harness) {
      const { store, reader } = await harness.open();
      expect(await store.positions('live', log)).toBeNull();
      await refused(reader.view(), 'projection-rebuilding');
      await refused(apply(store, 'live', nowhere, completed(1)), 'projection-rebuilding');
    },
  },
  {
    name: 'shows nothing of a rebuild before the swap, and all of it after',
    async run(harness) {
      const { store, reader } = await opened(harness, completed(1));
      await store.startRebuild(log);
      await apply(store, 'rebuild', nowhere, [...completed(1), ...completed(2)].slice(0, 4));
      expect((await reader.task(taskId(2))).row).toBeNull();
      expect((await listed(reader)).length).toBe(1);
      const at = await positionsOf(store, 'rebuild');
      expect(await store.swap(at)).toBe(true);
      expect(await store.positions('rebuild', log)).toBeNull();
      expect(await positionsOf(store, 'live')).toEqual(at);
      expect((await listed(reader)).length).toBe(1);
      expect((await reader.view()).positions).toEqual(at);
    },
  },
  {
    name: 'swaps only generations that stand at the named positions',
    async run(harness) {
      const { store, reader } = await opened(harness, completed(1));
      await store.startRebuild(log);
      await apply(store, 'rebuild', nowhere, [...completed(1), ...completed(2)]);
      expect(await store.swap(await positionsOf(store, 'rebuild'))).toBe(false);
      expect(await store.swap(await positionsOf(store, 'live'))).toBe(false);
      expect((await reader.task(taskId(2))).row).toBeNull();
      expect(await positionsOf(store, 'rebuild')).toEqual(new Map([[0, 8]]));
    },
  },
  {
    name: 'begins every rebuild empty',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      await store.startRebuild(log);
      await apply(store, 'rebuild', nowhere, completed(1));
      await store.startRebuild(log);
      expect(await positionsOf(store, 'rebuild')).toEqual(nowhere);
      expect((await store.summaries(['rebuild'])).rebuild?.tasks).toBe(0);
    },
  },
  {
    name: 'knows which log its live rows were derived from, what they are, and how they are removed',
    async run(harness) {
      const { store } = await harness.open();
      expect(await store.knownLogs()).toEqual([]);
      await store.startRebuild(log);
      expect(await store.knownLogs()).toEqual([]);
      await build(store, completed(1));
      expect(await store.knownLogs()).toEqual([{ identity: log, keptAs: expect.stringMatching(/^the read model/), removal: expect.stringMatching(/^stop the diary and /) }]);
    },
  },
  {
    name: 'refuses rows that were derived from another log',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      await refused(store.positions('live', 'log-2'), 'history-lost');
    },
  },
  ...(['all', 'one'] as const).map((which): Check => ({
    name: `notices when ${which} of its tables ${which === 'all' ? 'are' : 'is'} dropped, and builds anew`,
    async run(harness) {
      const { store, reader } = await opened(harness, completed(1));
      await harness.dropTables(which);
      await refused(apply(store, 'live', new Map([[0, 4]]), completed(2), 4), 'projection-rebuilding');
      expect(await store.positions('live', log)).toBeNull();
      await refused(reader.task(taskId(1)), 'projection-rebuilding');
      await build(store, completed(1));
      expect((await reader.task(taskId(1))).row?.state.end?.kind).toBe('completed');
    },
  })),
];

const batches: Check[] = [
  {
    name: 'saves rows and positions together, and readers see both',
    async run(harness) {
      const { store, reader } = await opened(harness, completed(1));
      expect(await apply(store, 'live', new Map([[0, 4]]), completed(2), 4)).toBe(true);
      const { row, view } = await reader.task(taskId(2));
      expect(row?.offsets).toEqual([4, 5, 6, 7]);
      expect(view.positions).toEqual(new Map([[0, 8]]));
      expect(await positionsOf(store, 'live')).toEqual(new Map([[0, 8]]));
    },
  },
  {
    name: 'keeps rows and positions together over a crash',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      await apply(store, 'live', new Map([[0, 4]]), completed(2), 4);
      const { store: again, reader } = await harness.reopenAfterCrash();
      const { row, view } = await reader.task(taskId(2));
      const saved = (await positionsOf(again, 'live')).get(0);
      expect(view.positions.get(0)).toBe(saved);
      expect(row?.offsets.length ?? 0).toBe(saved === 8 ? 4 : 0);
    },
  },
  {
    name: 'changes nothing when a batch comes twice',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      await apply(store, 'live', new Map([[0, 4]]), completed(2), 4);
      const before = await store.summaries(['live']);
      expect(await apply(store, 'live', new Map([[0, 4]]), completed(2), 4)).toBe(false);
      expect(await store.summaries(['live'])).toEqual(before);
    },
  },
  {
    name: 'refuses a batch of an owner whose positions are stale',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      let asked = false;
      const batch = { generation: 'live', next: new Map([[0, 9]]), lastEventMs: 0, taskIds: [], quarantined: [] } as const;
      const change = () => {
        asked = true;
        return [];
      };
      expect(await store.applyBatch({ ...batch, expected: new Map([[0, 3]]), change })).toBe(false);
      expect(await store.applyBatch({ ...batch, expected: nowhere, change })).toBe(false);
      expect(await store.applyBatch({ ...batch, expected: new Map([[0, 4], [1, 1]]), change })).toBe(false);
      expect(asked).toBe(false);
      expect(await positionsOf(store, 'live')).toEqual(new Map([[0, 4]]));
    },
  },
  {
    name: 'changes nothing when the fold throws',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      const before = await store.summaries(['live']);
      const change = () => {
        throw new RangeError('a defect of the fold');
      };
      const batch = { generation: 'live', expected: new Map([[0, 4]]), next: new Map([[0, 5]]), lastEventMs: 0, taskIds: [], change } as const;
      await expect(store.applyBatch({ ...batch, quarantined: [{ partition: 0, offset: 4, detail: 'no key' }] })).rejects.toThrow(RangeError);
      expect(await store.summaries(['live'])).toEqual(before);
    },
  },
  {
    name: 'hands the stored rows of the named tasks to the fold, and only those',
    async run(harness) {
      const { store } = await opened(harness, [...completed(1), ...completed(2)]);
      const found: string[] = [];
      const next = new Map([[0, 9]]);
      const taskIds = [taskId(2), taskId(3)];
      await store.applyBatch({
        ...{ generation: 'live', expected: new Map([[0, 8]]), next, lastEventMs: 0, taskIds, quarantined: [] },
        change: (stored) => {
          found.push(...stored.keys());
          return [];
        },
      });
      expect(found).toEqual([taskId(2)]);
    },
  },
  {
    name: 'keeps the records that belong to no task by their address, each once',
    async run(harness) {
      const stray: LogRecord = { ...(completed(1)[0] as LogRecord), key: '' };
      const { store } = await opened(harness, [stray, ...completed(1)]);
      expect((await store.summaries(['live'])).live?.quarantined).toBe(1);
      await apply(store, 'live', nowhere, [stray]);
      expect((await store.summaries(['live'])).live?.quarantined).toBe(1);
    },
  },
];

const digests: Check[] = [
  {
    name: 'gives equal rows an equal digest, however they were batched',
    async run(harness) {
      const records = [completed(1), completed(2), failedOnce(3)].flat();
      const { store } = await opened(harness, records);
      await store.startRebuild(log);
      for (const [offset, record] of records.entries()) {
        await apply(store, 'rebuild', offset === 0 ? nowhere : new Map([[0, offset]]), [record], offset);
      }
      const { live, rebuild } = await store.summaries(['live', 'rebuild']);
      expect(live).toEqual(rebuild);
      expect(live).toMatchObject({ tasks: 3, positions: new Map([[0, records.length]]) });
    },
  },
  {
    name: 'gives other rows another digest',
    async run(harness) {
      const { store } = await opened(harness, completed(1));
      const seen = new Set<string | undefined>();
      for (const records of [completed(1), completed(2), completed(1).slice(0, 3), history(taskId(1)).accepted({ tags: { customer: 'acme' } }).records]) {
        await store.startRebuild(log);
        await apply(store, 'rebuild', nowhere, records);
        seen.add((await store.summaries(['rebuild'])).rebuild?.digest);
      }
      expect(seen.size).toBe(4);
    },
  },
];

const questions: Check[] = [
  {
    name: 'answers every filter, also for rows that were replaced',
    async run(harness) {
      const tagged = history(taskId(4)).at(second(4)).accepted({ tags: { customer: 'acme', 'x|y': "o'clock" }, batch: 'b-1' });
      const open = failedOnce(3);
      const { store, reader } = await opened(harness, [...completed(1), ...open, ...tagged.records]);
      const find = async (filter: TaskFilter) => (await listed(reader, filter)).map((id) => Number(id.slice(-2))).sort();
      expect(await find({ phases: ['retrying'] })).toEqual([3]);
      expect(await find({ phases: ['completed', 'accepted'] })).toEqual([1, 4]);
      expect(await find({ type: 'email.welcome' })).toEqual([1, 3, 4]);
      expect(await find({ type: 'email.*' })).toEqual([1, 3, 4]);
      expect(await find({ type: 'mail.*' })).toEqual([]);
      expect(await find({ worker: 'worker-1' })).toEqual([1, 3]);
      expect(await find({ error: 'f0' })).toEqual([3]);
      expect(await find({ batch: 'b-1' })).toEqual([4]);
      expect(await find({ tags: { customer: 'acme', 'x|y': "o'clock" } })).toEqual([4]);
      expect(await find({ tags: { customer: 'acme', 'x|y': 'noon' } })).toEqual([]);
      expect(await find({ acceptedFromMs: second(4) })).toEqual([4]);
      expect(await find({ acceptedBeforeMs: second(4) })).toEqual([1, 3]);
      expect(await find({ attemptsAbove: 0 })).toEqual([1, 3]);
      expect(await find({ attemptsBelow: 1 })).toEqual([4]);
      const start = 4 + open.length + 1;
      const later = tagged.dispatched(1).started(1, 'e-9', { workerId: 'worker-9' }).records.slice(1);
      await apply(store, 'live', new Map([[0, start]]), later, start);
      expect(await find({ worker: 'worker-9', tags: { customer: 'acme' }, phases: ['running'] })).toEqual([4]);
    },
  },
  {
    name: 'finds an error by its fingerprint or the beginning of one, and by its whole code or name',
    async run(harness) {
      const reported = begun(1).failed(1, 'e-1', { name: 'ConnectionError', code: 'ECONNREFUSED', fingerprint: '3fa9' });
      const withoutStart = history(taskId(2)).accepted().dispatched(1).failed(1, null, { cause: 'unknown-type', name: 'UnknownType', code: 'unknown-type' });
      const { reader } = await opened(harness, [...reported.records, ...withoutStart.records, ...completed(3)]);
      const find = async (error: string) => (await listed(reader, { error })).map((id) => Number(id.slice(-2))).sort();
      for (const error of ['3fa9', '3f', 'ECONNREFUSED', 'ConnectionError']) expect(await find(error)).toEqual([1]);
      for (const error of ['f00d', 'unknown-type', 'UnknownType']) expect(await find(error)).toEqual([2]);
      for (const error of ['fa9', 'ECONN', 'econnrefused', 'Connection', 'unknown%', 'completed']) expect(await find(error)).toEqual([]);
    },
  },
  {
    name: 'pages newest first, without a gap or a double, also where many were accepted at once',
    async run(harness) {
      const records = Array.from({ length: 25 }, (_, index) => history(taskId(index)).at(second(index % 3)).accepted().records).flat();
      const { reader } = await opened(harness, records);
      const seen: string[] = [];
      let after = null;
      do {
        const page = await reader.list({ filter: {}, after, limit: 4 });
        seen.push(...page.rows.map(({ state }) => `${state.accepted?.timeMs} ${state.taskId}`));
        after = page.next;
      } while (after);
      expect(seen).toEqual([...new Set(seen)].sort().reverse());
      expect(seen.length).toBe(25);
    },
  },
  {
    name: 'does not list what only stray events are known of',
    async run(harness) {
      const { reader } = await opened(harness, [...completed(1), ...history(taskId(2)).dispatched(1).records]);
      expect(await listed(reader)).toEqual([taskId(1)]);
      expect((await reader.task(taskId(2))).row?.state.anomalies).toHaveLength(1);
    },
  },
  {
    name: 'closes twice without harm, and refuses calls afterwards',
    async run(harness) {
      const { store, reader } = await opened(harness, completed(1));
      await store.close();
      await store.close();
      await reader.close();
      await reader.close();
      await refused(store.positions('live', log), 'stopped');
      await refused(reader.view(), 'stopped');
    },
  },
];

export const projectionStoreChecks: readonly Check[] = [...generations, ...batches, ...digests, ...questions];

/** A store whose live rows are those of the records. */
async function opened(harness: ProjectionStoreHarness, records: readonly LogRecord[]): Promise<Projections> {
  const projections = await harness.open();
  await build(projections.store, records);
  return projections;
}

async function build(store: ProjectionStore, records: readonly LogRecord[]): Promise<void> {
  await store.startRebuild(log);
  expect(await apply(store, 'rebuild', nowhere, records)).toBe(true);
  expect(await store.swap(new Map([[0, records.length]]))).toBe(true);
}

function apply(store: ProjectionStore, generation: Generation, expected: Positions, records: readonly LogRecord[], firstOffset = 0): Promise<boolean> {
  return store.applyBatch({ generation, expected, ...prepareBatch(expected, storedRecords(records, firstOffset)) });
}

async function positionsOf(store: ProjectionStore, generation: Generation): Promise<Positions> {
  return (await store.positions(generation, log)) ?? new Map([[-1, -1]]);
}

async function listed(reader: ProjectionReader, filter: TaskFilter = {}): Promise<string[]> {
  const { rows } = await reader.list({ filter, after: null, limit: 100 });
  return rows.map(({ state }) => state.taskId);
}

async function refused(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await expect(call).rejects.toMatchObject({ code });
}

function completed(number: number): readonly LogRecord[] {
  return begun(number).completed(1, `e-${number}`).records;
}

function failedOnce(number: number): readonly LogRecord[] {
  return begun(number).failed(1, `e-${number}`).records;
}

function begun(number: number): TaskHistory {
  return history(taskId(number)).accepted().dispatched(1).started(1, `e-${number}`);
}

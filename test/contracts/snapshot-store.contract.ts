import { expect } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { foldVersion, type Snapshot, type SnapshotStore } from '../../src/ports/snapshot-store.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

/** What every snapshot store promises. Not promised: which of two savers of one partition comes last. */
export function snapshotStoreContract(adapter: AdapterUnderTest<SnapshotStoreHarness>): void {
  describeContract('SnapshotStore', snapshotStoreChecks, adapter);
}

export interface SnapshotStoreHarness extends ContractHarness {
  /** @param version of the fold, default the present one */
  open(topic?: string, version?: number): SnapshotStore;
  /** Leaves what was opened as a dead process does, and opens again. */
  reopenAfterCrash(): Promise<SnapshotStore>;
  /** Does behind the store's back what a bad disk does to a partition's snapshot. */
  damage(partition: number, how: 'flip a byte of the body' | 'cut it short' | 'move its position'): Promise<void>;
  /** Nobody can write any more. */
  breakWriting(): Promise<void>;
  /** Says how often a store warned. */
  warnings(): number;
}

type Check = ContractCheck<SnapshotStoreHarness>;

const log = 'cluster/log-1';
const anotherLog = 'cluster/log-2';

const keeping: Check[] = [
  {
    name: 'has nothing before the first snapshot, and says so without a warning',
    async run(harness) {
      const store = harness.open();
      expect(await store.load(0, log)).toBeNull();
      expect(await store.knownLogs()).toEqual([]);
      expect(harness.warnings()).toBe(0);
    },
  },
  {
    name: 'gives back what was saved last, for each partition by itself',
    async run(harness) {
      const store = harness.open();
      await store.save(snapshot({ position: 5, body: 'old' }));
      await store.save(snapshot({ partition: 7, position: 6 }));
      await store.save(snapshot({ position: 9, body: 'new' }));
      expect(await load(store, 0)).toEqual({ partition: 0, logIdentity: log, position: 9, body: 'new' });
      expect(await load(store, 7)).toMatchObject({ partition: 7, position: 6 });
      expect(await store.load(1, log)).toBeNull();
    },
  },
  {
    name: 'keeps any bytes, none at all and some megabytes of them',
    async run(harness) {
      const store = harness.open();
      const large = Uint8Array.from({ length: 3_000_001 }, (_, index) => index % 251);
      for (const body of [new Uint8Array(), new Uint8Array([0, 10, 255, 13, 0]), large]) {
        await store.save({ ...snapshot(), body });
        expect(Buffer.compare((await store.load(0, log))!.body, body)).toBe(0);
      }
    },
  },
  {
    name: 'has every snapshot whose save was confirmed after a crash',
    async run(harness) {
      await harness.open().save(snapshot({ position: 41 }));
      const store = await harness.reopenAfterCrash();
      expect(await load(store, 0)).toMatchObject({ position: 41 });
    },
  },
  {
    name: 'keeps the snapshots of topics apart, also where one name begins another',
    async run(harness) {
      const [one, other] = [harness.open('orders'), harness.open('orders.1')];
      await one.save(snapshot({ partition: 1, position: 3 }));
      await other.save(snapshot({ partition: 0, position: 4, logIdentity: anotherLog }));
      expect(await load(one, 1)).toMatchObject({ position: 3 });
      expect((await one.knownLogs()).map(({ identity }) => identity)).toEqual([log]);
      expect((await other.knownLogs()).map(({ identity }) => identity)).toEqual([anotherLog]);
    },
  },
  {
    name: 'takes two savers of a partition at once, and keeps one of the two whole',
    async run(harness) {
      const stores = [harness.open(), harness.open()];
      await stores[0]!.save(snapshot());
      const saved = await Promise.allSettled(stores.map((store, index) => store.save(snapshot({ position: 100 + index, body: String(index).repeat(100_000) }))));
      expect(saved.some(({ status }) => status === 'fulfilled')).toBe(true);
      const { position, body } = (await load(stores[0]!, 0))!;
      expect(body).toBe(String(position - 100).repeat(100_000));
    },
  },
];

const doubting: Check[] = [
  ...(['flip a byte of the body', 'cut it short', 'move its position'] as const).map(
    (how): Check => ({
      name: `takes a snapshot for none, with a warning, after something has ${{ 'flip a byte of the body': 'flipped a byte of its body', 'cut it short': 'cut it short', 'move its position': 'moved its position' }[how]}, and replaces it`,
      async run(harness) {
        const store = harness.open();
        await store.save(snapshot({ position: 12 }));
        await harness.damage(0, how);
        expect(await store.load(0, log)).toBeNull();
        expect(harness.warnings()).toBe(1);
        await store.save(snapshot({ position: 13 }));
        expect(await load(store, 0)).toMatchObject({ position: 13 });
      },
    }),
  ),
  {
    name: 'takes a snapshot of another fold version for none, with a warning, and replaces it',
    async run(harness) {
      await harness.open(undefined, foldVersion + 1).save(snapshot({ position: 50 }));
      const store = harness.open();
      expect(await store.load(0, log)).toBeNull();
      expect(harness.warnings()).toBe(1);
      await store.save(snapshot({ position: 20 }));
      expect(await load(store, 0)).toMatchObject({ position: 20 });
    },
  },
  {
    name: 'refuses a snapshot of another log, naming both, and does not replace it',
    async run(harness) {
      const store = harness.open();
      await store.save(snapshot({ position: 12 }));
      for (const version of [foldVersion, foldVersion + 1]) {
        const doubter = harness.open(undefined, version);
        await refused(doubter.load(0, anotherLog), 'history-lost', log, anotherLog);
        await refused(doubter.save(snapshot({ logIdentity: anotherLog })), 'history-lost', log, anotherLog);
      }
      expect(await load(store, 0)).toMatchObject({ position: 12, logIdentity: log });
    },
  },
  {
    name: 'knows which log its snapshots are of, what they are, and how they are removed, whatever their version',
    async run(harness) {
      await harness.open(undefined, foldVersion + 1).save(snapshot());
      const store = harness.open();
      await store.save(snapshot({ partition: 1 }));
      const known = await store.knownLogs();
      expect(new Set(known.map(({ identity }) => identity))).toEqual(new Set([log]));
      expect(known[0]!.keptAs).toMatch(/snapshot/);
      expect(known[0]!.removal).toMatch(/stop the dispatchers/);
    },
  },
  {
    name: 'says that it cannot save, and keeps what it had',
    async run(harness) {
      const store = harness.open();
      await store.save(snapshot({ position: 12 }));
      await harness.breakWriting();
      await refused(store.save(snapshot({ position: 13 })), 'snapshot-unavailable');
    },
  },
];

export const snapshotStoreChecks: readonly Check[] = [...keeping, ...doubting];

function snapshot({ body = 'body', ...changes }: Partial<Omit<Snapshot, 'body'>> & { readonly body?: string } = {}): Snapshot {
  return { partition: 0, logIdentity: log, position: 1, ...changes, body: Buffer.from(body) };
}

async function load(store: SnapshotStore, partition: number) {
  const found = await store.load(partition, log);
  return found && { ...found, body: Buffer.from(found.body).toString() };
}

async function refused(call: Promise<unknown>, code: ErrorCode, ...named: readonly string[]): Promise<void> {
  const error: unknown = await call.then(() => null, (reason: unknown) => reason);
  expect(error).toMatchObject({ code });
  for (const text of named) expect((error as Error).message).toContain(text);
}

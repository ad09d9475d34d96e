import { expect, it } from 'vitest';
import type { SnapshotStore } from '../../src/ports/snapshot-store.ts';
import { brokenChecks } from './contract.ts';
import { fileSnapshotsUnderTest } from './file-snapshots-under-test.ts';
import { snapshotStoreChecks } from './snapshot-store.contract.ts';

// A contract that has never failed proves nothing: each of these stores breaks a promise on purpose.

const faults: Readonly<Record<string, (store: SnapshotStore) => Partial<SnapshotStore>>> = {
  'confirms before it has written': (store) => ({ save: async (snapshot) => void store.save(snapshot).catch(() => undefined) }),
  'keeps the first snapshot': (store) => ({ save: async (snapshot) => ((await store.load(snapshot.partition, snapshot.logIdentity)) ? undefined : store.save(snapshot)) }),
  'takes the snapshot of another log for its own': (store) => ({ load: (partition) => store.load(partition, 'cluster/log-1') }),
  'takes the snapshot of another log for none': (store) => ({ load: (partition, log) => store.load(partition, log).catch(() => null) }),
  'hides that it could not save': (store) => ({ save: (snapshot) => store.save(snapshot).catch(() => undefined) }),
  'confuses partitions': (store) => ({ load: (_partition, log) => store.load(0, log) }),
  'forgets which logs it knows': () => ({ knownLogs: async () => [] }),
};

for (const [fault, override] of Object.entries(faults)) {
  it(`finds out a store that ${fault}`, async () => {
    const broken = fileSnapshotsUnderTest(fault, (store) => overridden(store, override(store)));
    expect(await brokenChecks(snapshotStoreChecks, broken)).not.toEqual([]);
  });
}

it('finds nothing in the sound store', async () => {
  expect(await brokenChecks(snapshotStoreChecks, fileSnapshotsUnderTest())).toEqual([]);
});

function overridden(store: SnapshotStore, faulty: Partial<SnapshotStore>): SnapshotStore {
  return {
    load: (...call) => store.load(...call),
    save: (snapshot) => store.save(snapshot),
    knownLogs: () => store.knownLogs(),
    close: () => store.close(),
    ...faulty,
  };
}

import { expect, it } from 'vitest';
import type { ProjectionBatch, ProjectionStore } from '../../src/ports/projection-store.ts';
import { brokenChecks } from './contract.ts';
import { projectionStoreChecks } from './projection-store.contract.ts';
import { sqliteProjectionsUnderTest } from './sqlite-projections-under-test.ts';

// A contract that has never failed proves nothing: each of these stores breaks a promise on purpose.

const faults: Readonly<Record<string, (store: ProjectionStore) => Partial<ProjectionStore>>> = {
  'saves positions without rows': (store) => ({
    applyBatch: (batch) => store.applyBatch({ ...batch, change: (stored) => (batch.change(stored), []) }),
  }),
  'saves rows without positions': (store) => ({
    applyBatch: (batch) => store.applyBatch({ ...batch, next: batch.expected }),
  }),
  'does not compare positions': (store) => ({
    applyBatch: async (batch) => store.applyBatch({ ...batch, expected: await stored(store, batch) }),
  }),
  'says that it swapped and did not': () => ({ swap: async () => true }),
  'takes a stale batch for saved': (store) => ({
    applyBatch: async (batch) => (await store.applyBatch(batch)) || true,
  }),
  'takes rows of another log for its own': (store) => ({
    positions: (generation) => store.positions(generation, 'log-1'),
  }),
  'forgets which log its rows are of': () => ({ knownLogs: async () => [] }),
  'digests the positions instead of the rows': (store) => ({
    summaries: async (names) => {
      const found = await store.summaries(names);
      for (const name of names) {
        const summary = found[name];
        if (summary) Object.assign(summary, { digest: JSON.stringify([...summary.positions]) });
      }
      return found;
    },
  }),
};

for (const [fault, override] of Object.entries(faults)) {
  it(`finds out a store that ${fault}`, async () => {
    const broken = sqliteProjectionsUnderTest(fault, (store) => overridden(store, override(store)));
    expect(await brokenChecks(projectionStoreChecks, broken)).not.toEqual([]);
  });
}

it('finds nothing in the sound store', async () => {
  expect(await brokenChecks(projectionStoreChecks, sqliteProjectionsUnderTest())).toEqual([]);
});

function overridden(store: ProjectionStore, faulty: Partial<ProjectionStore>): ProjectionStore {
  return {
    positions: (...call) => store.positions(...call),
    knownLogs: () => store.knownLogs(),
    applyBatch: (batch) => store.applyBatch(batch),
    startRebuild: (logIdentity) => store.startRebuild(logIdentity),
    summaries: (names) => store.summaries(names),
    swap: (at) => store.swap(at),
    close: () => store.close(),
    ...faulty,
  };
}

async function stored(store: ProjectionStore, { generation, expected }: ProjectionBatch) {
  return (await store.positions(generation, 'log-1')) ?? expected;
}

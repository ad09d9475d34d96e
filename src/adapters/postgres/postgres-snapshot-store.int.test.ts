import { expect, it, onTestFinished } from 'vitest';
import { snapshotStoreContract } from '../../../test/contracts/snapshot-store.contract.ts';
import { countingLogger } from '../../../test/support/counting-logger.ts';
import { postgresSnapshotStoreHarness, PostgresUnderTest } from '../../../test/support/postgres-harness.ts';
import { PostgresSnapshotStore } from './postgres-snapshot-store.ts';

snapshotStoreContract({ name: 'PostgreSQL', create: postgresSnapshotStoreHarness });

const snapshot = { partition: 0, logIdentity: 'log-1', position: 1, body: Buffer.from('body') };

it('has no snapshot while the server cannot be reached, but does not say that there is none of another log', async () => {
  const postgres = await PostgresUnderTest.open();
  onTestFinished(() => postgres.close());
  const { logger, warnings } = countingLogger();
  const store = new PostgresSnapshotStore({ ...postgres.connection, topic: 'tasks', logger });
  postgres.closeLater(() => store.close());
  await store.save(snapshot);
  postgres.proxy.cut();
  expect(await store.load(0, 'log-1')).toBeNull();
  expect(warnings()).toBe(1);
  await expect(store.knownLogs()).rejects.toMatchObject({ code: 'snapshot-unavailable' });
});

it('makes its table again when it was dropped under it', async () => {
  const postgres = await PostgresUnderTest.open();
  onTestFinished(() => postgres.close());
  const store = new PostgresSnapshotStore({ ...postgres.connection, topic: 'tasks', logger: countingLogger().logger });
  postgres.closeLater(() => store.close());
  await store.save(snapshot);
  await postgres.admin.query(`DROP TABLE ${postgres.schema}.snapshots`);
  expect(await store.load(0, 'log-1')).toBeNull();
  expect(await store.knownLogs()).toEqual([]);
  await store.save(snapshot);
  expect(await store.load(0, 'log-1')).toMatchObject({ position: 1 });
});

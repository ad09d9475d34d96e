import { join } from 'node:path';
import { FileSnapshotStore } from '../../adapters/file/file-snapshot-store.ts';
import { PostgresSnapshotStore } from '../../adapters/postgres/postgres-snapshot-store.ts';
import type { Logger } from '../../ports/logger.ts';
import type { SnapshotStore } from '../../ports/snapshot-store.ts';
import type { Config } from '../config.ts';

/** The dispatcher's snapshots: in PostgreSQL where a server is named, so that hosts share them, else in the data folder. */
export function snapshotStoreOf({ postgresUrl, schema, dataDir, topic }: Config, logger: Logger): SnapshotStore {
  if (postgresUrl === null) return new FileSnapshotStore({ folder: join(dataDir, 'snapshots'), topic, logger });
  return new PostgresSnapshotStore({ url: postgresUrl, topic, logger, ...(schema === null ? {} : { schema }) });
}

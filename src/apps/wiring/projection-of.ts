import { mkdirSync } from 'node:fs';
import { SqliteProjectionReader } from '../../adapters/embedded/sqlite-projection-reader.ts';
import { SqliteProjectionStore } from '../../adapters/embedded/sqlite-projection-store.ts';
import { PostgresProjectionReader } from '../../adapters/postgres/postgres-projection-reader.ts';
import { PostgresProjectionStore } from '../../adapters/postgres/postgres-projection-store.ts';
import type { ProjectionReader } from '../../ports/projection-reader.ts';
import type { Config } from '../config.ts';

// The read model: in PostgreSQL where a server is named, else in a SQLite file in the data folder.

/** For the projector, the only one that writes it. */
export function projectionStoreOf(config: Config): SqliteProjectionStore | PostgresProjectionStore {
  const { postgresUrl } = config;
  return postgresUrl === null ? new SqliteProjectionStore(folderOf(config)) : new PostgresProjectionStore(serverOf(config, postgresUrl));
}

/** For questions. */
export function projectionReaderOf(config: Config): ProjectionReader & { close(): Promise<void> } {
  const { postgresUrl } = config;
  return postgresUrl === null ? new SqliteProjectionReader(folderOf(config)) : new PostgresProjectionReader(serverOf(config, postgresUrl));
}

function folderOf({ dataDir }: Config): string {
  mkdirSync(dataDir, { recursive: true });
  return dataDir;
}

function serverOf({ schema }: Config, url: string) {
  return { url, ...(schema === null ? {} : { schema }) };
}

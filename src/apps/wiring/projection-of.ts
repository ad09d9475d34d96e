import { mkdirSync } from 'node:fs';
import { SqliteProjectionReader } from '../../adapters/embedded/sqlite-projection-reader.ts';
import { SqliteProjectionStore } from '../../adapters/embedded/sqlite-projection-store.ts';
import { PostgresProjectionReader } from '../../adapters/postgres/postgres-projection-reader.ts';
import { PostgresProjectionStore } from '../../adapters/postgres/postgres-projection-store.ts';
import { Projector } from '../../diary/projector.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ProjectionReader } from '../../ports/projection-reader.ts';
import type { Service } from '../../ports/service.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import type { Config } from '../config.ts';
import type { KnownLogs } from './lost-topic.ts';

export interface OpenedProjection {
  readonly projector: Projector;
  readonly projectionReader: ProjectionReader;
  /** The log that its rows were derived from. */
  readonly knownLogs: KnownLogs;
  readonly services: readonly Service[];
}

/** The projector in this thread, and its read model: PostgreSQL where a server is named, else SQLite in the data folder. */
export function projectionOf(config: Config, reader: EventReader, clock: Clock, logger: Logger): OpenedProjection {
  const { store, projectionReader } = openReadModel(config);
  const projector = new Projector({ reader, store, clock, logger });
  return {
    projector,
    projectionReader,
    knownLogs: () => store.knownLogs(),
    services: [hostedAdapter('read-model', store), hostedAdapter('questions', projectionReader), projector],
  };
}

function openReadModel({ postgresUrl, schema, dataDir }: Config) {
  if (postgresUrl === null) {
    mkdirSync(dataDir, { recursive: true });
    return { store: new SqliteProjectionStore(dataDir), projectionReader: new SqliteProjectionReader(dataDir) };
  }
  const options = { url: postgresUrl, ...(schema === null ? {} : { schema }) };
  return { store: new PostgresProjectionStore(options), projectionReader: new PostgresProjectionReader(options) };
}

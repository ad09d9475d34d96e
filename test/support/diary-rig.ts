import { onTestFinished } from 'vitest';
import { EmbeddedEventAppender } from '../../src/adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../src/adapters/embedded/embedded-event-reader.ts';
import { openEmbeddedStore } from '../../src/adapters/embedded/embedded-store.ts';
import { openDatabase } from '../../src/adapters/embedded/sqlite-database.ts';
import { SqliteProjectionReader } from '../../src/adapters/embedded/sqlite-projection-reader.ts';
import { projectionFile, projectionTables } from '../../src/adapters/embedded/sqlite-projection-schema.ts';
import { SqliteProjectionStore } from '../../src/adapters/embedded/sqlite-projection-store.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import { Projector } from '../../src/diary/projector.ts';
import { TaskQueries } from '../../src/diary/queries/task-queries.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { ProjectionStore } from '../../src/ports/projection-store.ts';
import { eventually } from './eventually.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ignore = () => undefined;
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

export type DiaryRig = ReturnType<typeof diaryRig>;

/** A log and a read model in a folder of their own, with what reads the one and writes the other. Closed when the test ends. */
export function diaryRig(folder = temporaryFolder()) {
  const clock = new SystemClock();
  const log = openEmbeddedStore({ folder, clock });
  const appender = new EmbeddedEventAppender(log);
  const reader = new EmbeddedEventReader(log);
  const store = new SqliteProjectionStore(folder);
  const projections = new SqliteProjectionReader(folder);
  const queries = new TaskQueries(reader, projections, clock);
  const started: Projector[] = [];

  onTestFinished(async () => {
    await Promise.all(started.map((projector) => projector.stop(5_000)));
    await projections.close();
    await store.close();
    reader.close();
    await log.close();
  });

  return {
    ...{ folder, clock, log, reader, store, projections, queries },

    async append(...records: readonly LogRecord[]) {
      const positions = [];
      for (const record of records) positions.push(await appender.append(record));
      return positions;
    },

    async startProjector(into: ProjectionStore = store): Promise<Projector> {
      const projector = new Projector({ reader, store: into, clock, logger: silentLogger });
      started.push(projector);
      await projector.start();
      return projector;
    },

    /** Waits until the read model stands at the end of the log. */
    caughtUp() {
      return eventually(async () => {
        const { positions } = await projections.view();
        return (positions.get(0) ?? 0) === log.tail.end;
      });
    },

    async digest(): Promise<string | undefined> {
      return (await store.summaries(['live'])).live?.digest;
    },

    dropTables(): void {
      const database = openDatabase(`${folder}/${projectionFile}`);
      for (const table of projectionTables) database.exec(`DROP TABLE ${table}`);
      database.close();
    },
  };
}

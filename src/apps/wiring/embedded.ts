import { EmbeddedEventAppender } from '../../adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../adapters/embedded/embedded-event-reader.ts';
import { EmbeddedExecutionClaims } from '../../adapters/embedded/embedded-execution-claims.ts';
import { EmbeddedJobReceiver } from '../../adapters/embedded/embedded-job-receiver.ts';
import { EmbeddedJobSender } from '../../adapters/embedded/embedded-job-sender.ts';
import { EmbeddedJobs } from '../../adapters/embedded/embedded-jobs.ts';
import { openEmbeddedStore } from '../../adapters/embedded/embedded-store.ts';
import { SqliteProjectionReader } from '../../adapters/embedded/sqlite-projection-reader.ts';
import { SystemIds } from '../../adapters/system/system-ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Config } from '../config.ts';
import { DiaryThreadHost } from './diary-thread-host.ts';

export type EmbeddedAdapters = ReturnType<typeof openEmbeddedAdapters>;

/**
 * Every port on files in the data folder: log, queue and claims in one file that this process alone writes, the read
 * model in another one that the diary's thread writes.
 * @throws DaybookError `folder-in-use`, `log-unavailable`
 */
export function openEmbeddedAdapters(config: Config, clock: Clock, logger: Logger) {
  const store = openEmbeddedStore({ folder: config.dataDir, clock, topic: config.topic, limits: { maxWaitMs: config.appendDeadlineMs } });
  const jobs = new EmbeddedJobs(store);
  const eventReader = new EmbeddedEventReader(store);
  const projectionReader = new SqliteProjectionReader(config.dataDir);
  const diary = new DiaryThreadHost({ folder: config.dataDir, topic: config.topic }, clock, logger);
  const stopTelling = store.tail.onChange(() => diary.logAdvanced());
  return {
    ports: {
      eventAppender: new EmbeddedEventAppender(store),
      eventReader,
      jobSender: new EmbeddedJobSender(jobs),
      jobReceiver: new EmbeddedJobReceiver(jobs),
      executionClaims: new EmbeddedExecutionClaims(store),
      projectionReader,
      clock,
      ids: new SystemIds(clock),
      logger,
    },
    /** The projector, in its thread. */
    diary,
    /** After every role has stopped. Idempotent. */
    async close(): Promise<void> {
      stopTelling();
      await projectionReader.close();
      eventReader.close();
      await store.close();
    },
  };
}

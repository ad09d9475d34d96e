import { EmbeddedEventAppender } from '../../adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../adapters/embedded/embedded-event-reader.ts';
import { EmbeddedExecutionClaims } from '../../adapters/embedded/embedded-execution-claims.ts';
import { EmbeddedJobReceiver } from '../../adapters/embedded/embedded-job-receiver.ts';
import { EmbeddedJobSender } from '../../adapters/embedded/embedded-job-sender.ts';
import { EmbeddedJobs } from '../../adapters/embedded/embedded-jobs.ts';
import { EmbeddedOwnershipGroup } from '../../adapters/embedded/embedded-partition-ownership.ts';
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
  const executionClaims = new EmbeddedExecutionClaims(store);
  const stopPruning = pruneDaily(executionClaims, clock, logger);
  const stopTelling = store.tail.onChange(() => diary.logAdvanced());
  return {
    ports: {
      eventAppender: new EmbeddedEventAppender(store),
      eventReader,
      partitionOwnership: new EmbeddedOwnershipGroup().join(),
      jobSender: new EmbeddedJobSender(jobs),
      jobReceiver: new EmbeddedJobReceiver(jobs),
      executionClaims,
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
      stopPruning();
      await projectionReader.close();
      eventReader.close();
      await store.close();
    },
  };
}

const dayMs = 24 * 3_600_000;

/** Claims outlive their job by a week; what is older goes once a day. One that cannot be removed now goes a day later. */
function pruneDaily(claims: EmbeddedExecutionClaims, clock: Clock, logger: Logger): () => void {
  let cancel = clock.setTimer(dayMs, prune);
  function prune(): void {
    cancel = clock.setTimer(dayMs, prune);
    claims.prune().then(
      (removed) => logger.info({ removed }, 'old claims were removed'),
      (error: unknown) => logger.warn({ error }, 'old claims could not be removed; they go tomorrow'),
    );
  }
  return () => cancel();
}

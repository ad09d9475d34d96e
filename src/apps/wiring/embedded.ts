import { EmbeddedEventAppender } from '../../adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../adapters/embedded/embedded-event-reader.ts';
import { EmbeddedExecutionClaims } from '../../adapters/embedded/embedded-execution-claims.ts';
import { EmbeddedJobReceiver } from '../../adapters/embedded/embedded-job-receiver.ts';
import { EmbeddedJobSender } from '../../adapters/embedded/embedded-job-sender.ts';
import { EmbeddedJobs } from '../../adapters/embedded/embedded-jobs.ts';
import { EmbeddedOwnershipGroup } from '../../adapters/embedded/embedded-partition-ownership.ts';
import { EmbeddedPresence } from '../../adapters/embedded/embedded-presence.ts';
import { EmbeddedQueueInspection } from '../../adapters/embedded/embedded-queue-inspection.ts';
import { openEmbeddedStore, type EmbeddedStore } from '../../adapters/embedded/embedded-store.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import type { Config } from '../config.ts';
import type { OpenedClaims } from './claims-of.ts';
import { pruneDaily } from './pruning.ts';

/** @throws DaybookError `folder-in-use`, `log-unavailable` */
export function openStore(config: Config, clock: Clock): EmbeddedStore {
  return openEmbeddedStore({ folder: config.dataDir, clock, topic: config.topic, limits: { maxWaitMs: config.appendDeadlineMs } });
}

/** The log in the data folder's file, which this process alone writes. */
export function embeddedLog(store: EmbeddedStore) {
  const eventReader = new EmbeddedEventReader(store);
  return {
    ports: { eventAppender: new EmbeddedEventAppender(store), eventReader, partitionOwnership: new EmbeddedOwnershipGroup().join() },
    services: [hostedAdapter('reader', eventReader)],
    identity: () => Promise.resolve(store.identity),
  };
}

/** The queue in the same file, sharing its commits. */
export function embeddedQueue(store: EmbeddedStore) {
  const jobs = new EmbeddedJobs(store);
  return {
    ports: { jobSender: new EmbeddedJobSender(jobs), jobReceiver: new EmbeddedJobReceiver(jobs), queueInspection: new EmbeddedQueueInspection(jobs) },
    services: [],
  };
}

/** Heartbeats within this process. */
export function embeddedPresence() {
  const presence = new EmbeddedPresence();
  return { ports: { presenceWriter: presence, presenceReader: presence.reader() }, services: [] };
}

/** Claims in the same file. Its log is theirs: only for an embedded log. */
export function embeddedClaims(store: EmbeddedStore, clock: Clock, logger: Logger): OpenedClaims {
  const executionClaims = new EmbeddedExecutionClaims(store);
  return { executionClaims, services: [hostedAdapter('claims', { close: pruneDaily(executionClaims, clock, logger) })] };
}

import { RabbitmqJobReceiver } from '../../adapters/rabbitmq/rabbitmq-job-receiver.ts';
import { RabbitmqJobSender } from '../../adapters/rabbitmq/rabbitmq-job-sender.ts';
import { SystemIds } from '../../adapters/system/system-ids.ts';
import type { EmbeddedStore } from '../../adapters/embedded/embedded-store.ts';
import type { ProjectionControl } from '../../diary/projection-control.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ProjectionReader } from '../../ports/projection-reader.ts';
import type { Service } from '../../ports/service.ts';
import type { tokens } from '../../ports/tokens.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import type { Config, Role } from '../config.ts';
import { claimsOf } from './claims-of.ts';
import { embeddedClaims, embeddedDiary, embeddedLog, embeddedPresence, embeddedQueue, openStore } from './embedded.ts';
import { kafkaHeartbeats } from './kafka-heartbeats.ts';
import { kafkaLog } from './kafka-log.ts';
import { kafkaPresence } from './kafka-presence.ts';
import { projectionOf } from './projection-of.ts';
import { rabbitmqConnectionOf } from './rabbitmq-connection-of.ts';
import { rabbitmqInspection } from './rabbitmq-inspection.ts';
import { snapshotStoreOf } from './snapshot-store-of.ts';
import type { KnownLogs } from './lost-topic.ts';

export interface OpenedAdapters {
  readonly ports: Partial<Record<keyof typeof tokens, unknown>>;
  /** In the order of their start; they stop in reverse, after the roles. */
  readonly services: readonly Service[];
  /** Null without the diary role. */
  readonly projector: (ProjectionControl & Service) | null;
  /** After every service has stopped. Idempotent. */
  close(): Promise<void>;
}

/**
 * The adapters of a process that runs several roles: each port on the server that the settings name, else on the files
 * in the data folder. Claims are in PostgreSQL, else beside an embedded log, else none: claims of another log would
 * answer for tasks that share only their ids.
 * @throws DaybookError `folder-in-use`, `log-unavailable`
 */
export function openAdapters(config: Config, roles: ReadonlySet<Role>, clock: Clock, logger: Logger): OpenedAdapters {
  const isEmbedded = config.kafkaBrokers === null || config.rabbitmqUrl === null;
  const store = isEmbedded ? openStore(config, clock) : null;
  const snapshotStore = roles.has('dispatcher') ? snapshotStoreOf(config, logger) : null;
  const knownLogs = async () => [...((await snapshotStore?.knownLogs()) ?? []), ...((await diary?.knownLogs()) ?? [])];
  const log = config.kafkaBrokers === null && store ? embeddedLog(store) : kafkaLog(config, clock, logger, knownLogs);
  const queue = config.rabbitmqUrl === null && store ? embeddedQueue(store) : rabbitmqQueue(config, clock, logger);
  const claims = usesEmbeddedClaims(config) && store ? embeddedClaims(store, clock, logger) : claimsOf(config, log.identity, clock, logger, true);
  // Where either is embedded, this process has the only dispatcher and the only worker.
  const presence = isEmbedded ? embeddedPresence() : kafkaPresenceBothWays(config, clock, logger);
  const diary: OpenedDiary | null = roles.has('diary') ? diaryOf(config, store, log.ports.eventReader, clock, logger) : null;
  return {
    ports: {
      ...log.ports,
      ...queue.ports,
      ...presence.ports,
      executionClaims: claims.executionClaims,
      ...(snapshotStore ? { snapshotStore } : {}),
      ...(diary ? { projectionReader: diary.projectionReader } : {}),
      clock,
      ids: new SystemIds(clock),
      logger,
    },
    services: [
      ...log.services,
      ...queue.services,
      ...presence.services,
      ...claims.services,
      ...(snapshotStore ? [hostedAdapter('snapshots', snapshotStore)] : []),
      ...(diary?.services ?? []),
    ],
    projector: diary?.projector ?? null,
    close: async () => store?.close(),
  };
}

function usesEmbeddedClaims({ kafkaBrokers, claimsUrl, postgresUrl }: Config): boolean {
  return kafkaBrokers === null && claimsUrl === null && postgresUrl === null;
}

interface OpenedDiary {
  readonly projector: ProjectionControl & Service;
  readonly projectionReader: ProjectionReader;
  readonly knownLogs: KnownLogs;
  readonly services: readonly Service[];
}

/** In a thread of its own where log and read model are files; else in this one, which then mostly waits for servers. */
function diaryOf(config: Config, store: EmbeddedStore | null, reader: EventReader, clock: Clock, logger: Logger): OpenedDiary {
  // Its log is a file, which nobody has to guard.
  if (store && config.kafkaBrokers === null && config.postgresUrl === null) return { ...embeddedDiary(store, config, clock, logger), knownLogs: () => Promise.resolve([]) };
  return projectionOf(config, reader, clock, logger);
}

function rabbitmqQueue(config: Config, clock: Clock, logger: Logger) {
  const shared = { ...rabbitmqConnectionOf(config), clock, logger };
  const jobSender = new RabbitmqJobSender({ ...shared, name: 'daybook dispatcher' });
  const jobReceiver = new RabbitmqJobReceiver({ ...shared, name: 'daybook worker' });
  const inspection = rabbitmqInspection(config, clock, logger);
  return {
    ports: { jobSender, jobReceiver, ...inspection.ports },
    services: [hostedAdapter('queue', jobSender), hostedAdapter('jobs', jobReceiver), ...inspection.services],
  };
}

function kafkaPresenceBothWays(config: Config, clock: Clock, logger: Logger) {
  const heartbeats = kafkaHeartbeats(config);
  const presence = kafkaPresence(config, clock, logger);
  return { ports: { ...heartbeats.ports, ...presence.ports }, services: [...heartbeats.services, ...presence.services] };
}

import { SystemIds } from '../../adapters/system/system-ids.ts';
import type { ProjectionControl } from '../../diary/projection-control.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Service } from '../../ports/service.ts';
import type { tokens } from '../../ports/tokens.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import type { Config, Role } from '../config.ts';
import { claimsOf } from './claims-of.ts';
import { diaryInThread } from './diary-in-thread.ts';
import { embeddedClaims, embeddedLog, embeddedPresence, embeddedQueue, openStore } from './embedded.ts';
import { snapshotStoreOf } from './snapshot-store-of.ts';

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
 * answer for tasks that share only their ids. The clients of servers are loaded where one is named: with that of
 * Kafka alone a process on files would take half as long again to start.
 * @throws DaybookError `folder-in-use`, `log-unavailable`
 */
export async function openAdapters(config: Config, roles: ReadonlySet<Role>, clock: Clock, logger: Logger): Promise<OpenedAdapters> {
  const isEmbedded = config.kafkaBrokers === null || config.rabbitmqUrl === null;
  const store = isEmbedded ? openStore(config, clock) : null;
  const logStore = config.kafkaBrokers === null ? store : null;
  const snapshotStore = roles.has('dispatcher') ? snapshotStoreOf(config, logger) : null;
  const knownLogs = async () => [...((await snapshotStore?.knownLogs()) ?? []), ...((await diary?.knownLogs()) ?? [])];
  const log = logStore ? embeddedLog(logStore) : (await import('./kafka-log.ts')).kafkaLog(config, clock, logger, knownLogs);
  const queue = config.rabbitmqUrl === null && store ? embeddedQueue(store) : (await import('./rabbitmq-queue.ts')).rabbitmqQueue(config, clock, logger);
  const claims = usesEmbeddedClaims(config) && store ? embeddedClaims(store, clock, logger) : claimsOf(config, log.identity, clock, logger, true);
  // Where either is embedded, this process has the only dispatcher and the only worker.
  const presence = isEmbedded ? embeddedPresence() : await kafkaPresenceBothWays(config, clock, logger);
  const diary = roles.has('diary') ? diaryInThread(config, logStore?.tail ?? null, clock, logger) : null;
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

async function kafkaPresenceBothWays(config: Config, clock: Clock, logger: Logger) {
  const [{ kafkaHeartbeats }, { kafkaPresence }] = [await import('./kafka-heartbeats.ts'), await import('./kafka-presence.ts')];
  const heartbeats = kafkaHeartbeats(config);
  const presence = kafkaPresence(config, clock, logger);
  return { ports: { ...heartbeats.ports, ...presence.ports }, services: [...heartbeats.services, ...presence.services] };
}

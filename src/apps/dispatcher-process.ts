import { RabbitmqJobSender } from '../adapters/rabbitmq/rabbitmq-job-sender.ts';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import type { Logger } from '../ports/logger.ts';
import type { Config } from './config.ts';
import { dispatcherRole } from './dispatcher.ts';
import { hostedAdapter } from './hosted-adapter.ts';
import { startWithHealth } from './http/health-process.ts';
import { addDispatcherMetrics } from './metrics/dispatcher-metrics.ts';
import type { ProcessPlan } from './nest-process.ts';
import { PortsModule } from './ports.module.ts';
import type { RunningRole } from './running-role.ts';
import { kafkaLog } from './wiring/kafka-log.ts';
import { kafkaPresence } from './wiring/kafka-presence.ts';
import { rabbitmqConnectionOf } from './wiring/rabbitmq-connection-of.ts';
import { rabbitmqInspection } from './wiring/rabbitmq-inspection.ts';
import { snapshotStoreOf } from './wiring/snapshot-store-of.ts';

/** A dispatcher in a process of its own, on Kafka and RabbitMQ; several share the partitions. */
export async function startDispatcher(config: Config, logger: Logger): Promise<RunningRole> {
  const clock = new SystemClock();
  const snapshotStore = snapshotStoreOf(config, logger);
  const log = kafkaLog(config, clock, logger, () => snapshotStore.knownLogs());
  const presence = kafkaPresence(config, clock, logger);
  const inspection = rabbitmqInspection(config, clock, logger);
  const jobSender = new RabbitmqJobSender({ ...rabbitmqConnectionOf(config), name: 'daybook dispatcher', clock, logger });
  const ports = PortsModule.of({ ...log.ports, ...presence.ports, ...inspection.ports, snapshotStore, jobSender, clock, logger });
  const adapters = [...log.services, ...presence.services, ...inspection.services, hostedAdapter('snapshots', snapshotStore), hostedAdapter('queue', jobSender)];
  const plan: ProcessPlan = {
    modules: [dispatcherRole(ports, config)],
    services: { standing: adapters, provided: [Dispatcher] },
    addMetrics: (registry, context) => addDispatcherMetrics(registry, context.get(Dispatcher, { strict: false })),
    drainSeconds: config.drainSeconds,
    clock,
    logger,
  };
  const { listening, close } = await startWithHealth(plan, config, new Set(['dispatcher']));
  return { listening, stop: close };
}

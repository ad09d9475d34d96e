import { RabbitmqJobReceiver } from '../adapters/rabbitmq/rabbitmq-job-receiver.ts';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { SystemIds } from '../adapters/system/system-ids.ts';
import type { Logger } from '../ports/logger.ts';
import { TaskCatalog, type CatalogEntry } from '../task-definition/task-catalog.ts';
import { Worker } from '../worker/worker.ts';
import type { Config } from './config.ts';
import { hostedAdapter } from './hosted-adapter.ts';
import { startWithHealth } from './http/health-process.ts';
import type { ProcessPlan } from './nest-process.ts';
import { PortsModule } from './ports.module.ts';
import type { RunningRole } from './running-role.ts';
import { claimsOf } from './wiring/claims-of.ts';
import { kafkaAppenderOf } from './wiring/kafka-appender-of.ts';
import { kafkaHeartbeats } from './wiring/kafka-heartbeats.ts';
import { rabbitmqConnectionOf } from './wiring/rabbitmq-connection-of.ts';
import { TopicGuard } from './wiring/topic-guard.ts';
import { workerRole } from './worker.ts';

/** A worker in a process of its own, on Kafka and RabbitMQ, with claims in PostgreSQL where one is named. */
export async function startWorker(config: Config, entries: readonly CatalogEntry[], logger: Logger): Promise<RunningRole> {
  const clock = new SystemClock();
  const guard = new TopicGuard(config, clock, logger);
  const eventAppender = kafkaAppenderOf(config);
  const jobReceiver = new RabbitmqJobReceiver({ ...rabbitmqConnectionOf(config), name: 'daybook worker', clock, logger });
  const heartbeats = kafkaHeartbeats(config);
  const catalog = new TaskCatalog(entries);
  const claims = claimsOf(config, () => guard.identity(), clock, logger, catalog.requiresGuard);
  const ports = PortsModule.of({ eventAppender, jobReceiver, ...heartbeats.ports, executionClaims: claims.executionClaims, clock, ids: new SystemIds(clock), logger });
  const plan: ProcessPlan = {
    modules: [workerRole(ports, config, catalog)],
    services: { standing: [hostedAdapter('log', eventAppender), hostedAdapter('queue', jobReceiver), ...heartbeats.services, ...claims.services, guard], provided: [Worker] },
    addMetrics: () => {},
    drainSeconds: config.drainSeconds,
    clock,
    logger,
  };
  const { listening, close } = await startWithHealth(plan, config, new Set(['worker']));
  return { listening, stop: close };
}

import { RabbitmqQueueInspection } from '../../adapters/rabbitmq/rabbitmq-queue-inspection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Config } from '../config.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import { rabbitmqConnectionOf } from './rabbitmq-connection-of.ts';

/** Counts waiting jobs on RabbitMQ. Its connection is shown and never a reason not to be ready: dispatch goes on without it. */
export function rabbitmqInspection(config: Config, clock: Clock, logger: Logger) {
  const queueInspection = new RabbitmqQueueInspection({ ...rabbitmqConnectionOf(config), name: 'daybook dispatcher, looking at queues', clock, logger });
  const health = () => ({ ok: true, detail: queueInspection.health().detail });
  return { ports: { queueInspection }, services: [hostedAdapter('inspection', { health, close: () => queueInspection.close() })] };
}

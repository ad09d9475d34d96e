import { RabbitmqJobReceiver } from '../../adapters/rabbitmq/rabbitmq-job-receiver.ts';
import { RabbitmqJobSender } from '../../adapters/rabbitmq/rabbitmq-job-sender.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Config } from '../config.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import { rabbitmqConnectionOf } from './rabbitmq-connection-of.ts';
import { rabbitmqInspection } from './rabbitmq-inspection.ts';

/** The queue on RabbitMQ, for a process that both sends and receives; a connection for each. */
export function rabbitmqQueue(config: Config, clock: Clock, logger: Logger) {
  const shared = { ...rabbitmqConnectionOf(config), clock, logger };
  const jobSender = new RabbitmqJobSender({ ...shared, name: 'daybook dispatcher' });
  const jobReceiver = new RabbitmqJobReceiver({ ...shared, name: 'daybook worker' });
  const inspection = rabbitmqInspection(config, clock, logger);
  return {
    ports: { jobSender, jobReceiver, ...inspection.ports },
    services: [hostedAdapter('queue', jobSender), hostedAdapter('jobs', jobReceiver), ...inspection.services],
  };
}

import { DaybookError } from '../domain/errors.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import type { Config } from './config.ts';

/** To claim before the handler and to record after it; and RabbitMQ looks for late consumers only once a minute. */
const slackMs = 180_000;

/**
 * RabbitMQ takes a job away from a worker that has not acknowledged it within its `consumer_timeout`, and with it every
 * other job that the worker holds. A handler that may run as long would be started again and again.
 * @throws DaybookError `configuration-invalid`: names the types, and what mends it
 */
export function refuseTimeoutsBeyondTheBrokers(catalog: TaskCatalog, { rabbitmqUrl, consumerTimeoutMs }: Config): void {
  if (rabbitmqUrl === null) return;
  const longest = consumerTimeoutMs - slackMs;
  const beyond = catalog.definitions.filter(({ timeoutMs }) => timeoutMs > longest).map(({ type, timeoutMs }) => `${type} (${timeoutMs} ms)`);
  if (beyond.length === 0) return;
  throw new DaybookError(
    'configuration-invalid',
    `the timeout of ${beyond.join(', ')} must be at most ${longest} ms: RabbitMQ takes a job back after ${consumerTimeoutMs} ms, and claiming, recording and its own slowness need ${slackMs} ms of them. ` +
      'Shorten the timeout, or raise consumer_timeout in rabbitmq.conf and DAYBOOK_CONSUMER_TIMEOUT_MS with it',
  );
}

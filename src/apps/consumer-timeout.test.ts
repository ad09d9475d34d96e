import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask } from '../task-definition/define-task.ts';
import { TaskCatalog } from '../task-definition/task-catalog.ts';
import { loadConfig } from './config.ts';
import { refuseTimeoutsBeyondTheBrokers } from './consumer-timeout.ts';

const catalogOf = (timeout: string) => new TaskCatalog([defineTask({ type: 'long', payload: z.object({}), timeout })]);
const onRabbitmq = { DAYBOOK_RABBITMQ_URL: 'amqp://127.0.0.1' };

it('refuses a task that may run longer than RabbitMQ lets a worker hold its job', () => {
  expect(() => refuseTimeoutsBeyondTheBrokers(catalogOf('27m'), loadConfig(onRabbitmq))).not.toThrow();
  expect(() => refuseTimeoutsBeyondTheBrokers(catalogOf('28m'), loadConfig(onRabbitmq))).toThrow(/long \(1680000 ms\).*at most 1620000 ms.*DAYBOOK_CONSUMER_TIMEOUT_MS/);
});

it('goes by what the broker was set to', () => {
  expect(() => refuseTimeoutsBeyondTheBrokers(catalogOf('28m'), loadConfig({ ...onRabbitmq, DAYBOOK_CONSUMER_TIMEOUT_MS: '3600000' }))).not.toThrow();
});

it('knows no such limit on the embedded queue', () => {
  expect(() => refuseTimeoutsBeyondTheBrokers(catalogOf('28m'), loadConfig({}))).not.toThrow();
});

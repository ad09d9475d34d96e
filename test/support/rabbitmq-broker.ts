import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Channel, type ConfirmChannel } from 'amqplib';
import { RabbitmqNames } from '../../src/adapters/rabbitmq/rabbitmq-topology.ts';
import { brokerOf, brokersFolder, startedBroker } from './brokers.ts';

/**
 * The broker to test against: `DAYBOOK_RABBITMQ_URL`, or the one that `make brokers` started.
 * @throws when there is neither: these tests are never skipped
 */
export function rabbitmqUrl(): string {
  return brokerOf('DAYBOOK_RABBITMQ_URL');
}

/** Short, because RabbitMQ cuts long error messages off. */
export function uniqueTopic(): string {
  return `test-${randomUUID().slice(0, 8)}`;
}

/** Does something to the broker as an operator would, past the adapters. */
export async function onBroker<Result>(work: (channel: ConfirmChannel) => Promise<Result>): Promise<Result> {
  const connection = await connect(rabbitmqUrl());
  connection.on('error', () => undefined);
  try {
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    return await work(channel);
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** Puts bytes into the queue of a lane. */
export async function plantMessage(topic: string, queue: string, body: string): Promise<void> {
  await onBroker(async (channel) => {
    channel.publish(new RabbitmqNames(topic).jobsExchange, queue, Buffer.from(body), { persistent: true, mandatory: true });
    await channel.waitForConfirms();
  });
}

/** Takes the first job of a lane and returns it, again and again, until the broker gives it up. */
export async function wearOut(topic: string, queue: string): Promise<void> {
  const names = new RabbitmqNames(topic);
  await onBroker(async (channel) => {
    for (let returns = 0; (await channel.checkQueue(names.shelfQueue('dead'))).messageCount === 0; returns += 1) {
      if (returns > 1_000) throw new Error(`after ${returns} returns the queue has not given up`);
      const message = await channel.get(names.laneQueue(queue));
      // Between two turns it stands in neither queue for a moment.
      if (message) channel.nack(message, false, true);
    }
  });
}

/** Ready messages of a queue. */
export async function depthOf(queue: string): Promise<number> {
  return onBroker(async (channel) => (await channel.checkQueue(queue)).messageCount);
}

/** Deletes everything that a topic's jobs stood in. */
export async function removeTopic(topic: string, queues: readonly string[]): Promise<void> {
  const names = new RabbitmqNames(topic);
  await onBroker(async (channel: Channel) => {
    for (const queue of [...queues.map((queue) => names.laneQueue(queue)), names.shelfQueue('dead'), names.shelfQueue('parked')]) {
      await channel.deleteQueue(queue);
    }
    for (const exchange of [names.jobsExchange, names.shelfExchange]) await channel.deleteExchange(exchange);
  });
}

/**
 * Stops the broker's process where it stands; the returned function wakes it. Wakes it by itself after 20 s, whatever
 * becomes of this process. Null: it is not one that `make brokers` started here.
 */
export function freezeBroker(): (() => void) | null {
  const file = new URL('rabbitmq/rabbitmq.pid', brokersFolder);
  if (rabbitmqUrl() !== startedBroker('DAYBOOK_RABBITMQ_URL')) return null;
  if (!existsSync(file)) return null;
  const pid = Number(readFileSync(file, 'utf8').trim());
  const command = `/proc/${pid}/cmdline`;
  if (!pid || !existsSync(command) || !readFileSync(command, 'utf8').includes('beam')) return null;
  const guard = spawn('sh', ['-c', `sleep 20; kill -CONT ${pid}`], { detached: true, stdio: 'ignore' });
  guard.unref();
  process.kill(pid, 'SIGSTOP');
  return () => {
    process.kill(pid, 'SIGCONT');
    if (guard.pid) process.kill(-guard.pid, 'SIGKILL');
  };
}

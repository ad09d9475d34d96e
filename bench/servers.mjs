// The Kafka, RabbitMQ and PostgreSQL of the cases on brokers: those that DAYBOOK_* names, else what `make brokers`
// started. Every run gets a topic, queues and a schema of its own, and leaves nothing behind.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Admin } from '@platformatic/kafka';
import amqp from 'amqplib';
import pg from 'pg';
import { brokersFolder, startedBroker } from '../test/support/brokers.ts';
import { cpuOfFamily, processCpu } from './machine.mjs';

const pidFiles = { kafka: 'kafka/one-node/node-1/kafka.pid', rabbitmq: 'rabbitmq/rabbitmq.pid', postgres: 'postgres/postgres.pid' };

/** `{kafkaBrokers, rabbitmqUrl, postgresUrl, pids}`, or null when one of them is missing. */
export function findServers() {
  const variables = ['DAYBOOK_KAFKA_BROKERS', 'DAYBOOK_RABBITMQ_URL', 'DAYBOOK_POSTGRES_URL'];
  const started = variables.map(startedBroker);
  const values = variables.map((name, index) => process.env[name] ?? started[index]);
  if (values.some((value) => value === undefined)) return null;
  const [kafkaBrokers, rabbitmqUrl, postgresUrl] = values;
  const areStarted = values.every((value, index) => value === started[index]);
  return { kafkaBrokers, rabbitmqUrl, postgresUrl, pids: areStarted ? startedPids() : {} };
}

/** CPU time in milliseconds of each server that runs here; those elsewhere are left out. None without servers. */
export function serversCpu(servers) {
  const { pids } = servers ?? { pids: {} };
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, name === 'postgres' ? cpuOfFamily(pid) : processCpu(pid)]));
}

export function cpuSince(before, after) {
  return Object.fromEntries(Object.keys(before).map((name) => [name, after[name] - before[name]]));
}

/** What one run calls its own. */
export function newNames() {
  const topic = `bench-${randomUUID()}`;
  return { topic, schema: topic.replaceAll('-', '_') };
}

/** Removes what a run made. */
export async function removeNames({ kafkaBrokers, rabbitmqUrl, postgresUrl }, { topic, schema }) {
  const admin = new Admin({ clientId: 'daybook-bench', bootstrapBrokers: kafkaBrokers.split(',') });
  const made = (await admin.listTopics()).filter((name) => name === topic || name.startsWith(`${topic}-`));
  if (made.length > 0) await admin.deleteTopics({ topics: made });
  await admin.close();
  const connection = await amqp.connect(rabbitmqUrl);
  const channel = await connection.createChannel();
  for (const name of ['default', 'dead', 'parked']) await channel.deleteQueue(`daybook.${topic}.${name}.v1`);
  for (const name of ['jobs', 'shelf']) await channel.deleteExchange(`daybook.${topic}.${name}.v1`);
  await connection.close();
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
}

/** Of servers that `make brokers` runs on this machine: CPU time of another machine cannot be read. */
function startedPids() {
  const found = Object.entries(pidFiles).filter(([, file]) => existsSync(new URL(file, brokersFolder)));
  return Object.fromEntries(found.map(([name, file]) => [name, Number(readFileSync(new URL(file, brokersFolder), 'utf8').trim())]));
}

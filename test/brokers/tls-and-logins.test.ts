import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KafkaCluster } from '../../src/adapters/kafka/kafka-cluster.ts';
import { makeCertificate } from '../../tools/brokers/certificate.ts';
import { eventsOf, finished, get, submit, untilReady } from '../support/daybook-http.ts';
import { bin, startDaybookProcess, type DaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { startSecuredBrokers, stopSecuredBrokers } from '../support/secured-brokers.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

type Variables = Readonly<Record<string, string>>;

let secured: Variables = {};

beforeAll(async () => {
  secured = await startSecuredBrokers();
}, 240_000);
afterAll(stopSecuredBrokers, 90_000);

const of = (name: string): string => secured[name] ?? '';

/** All four roles in one process on the three servers. An empty variable is not set at all. */
function start(changes: Variables = {}): Promise<DaybookProcess> {
  const topic = `tls-${randomUUID().slice(0, 8)}`;
  const all = { ...secured, DAYBOOK_TOPIC: topic, DAYBOOK_TOPIC_PARTITIONS: '2', DAYBOOK_SCHEMA: topic.replaceAll('-', '_'), ...changes };
  const settings = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  return startDaybookProcess({ folder: temporaryFolder(), command: [bin, 'start'], settings });
}

function changed(name: string, change: (url: URL) => void): Variables {
  const url = new URL(of(name));
  change(url);
  return { [name]: url.href };
}

it('runs a task on all three over TLS, each with its login and the host checked', async () => {
  expect([of('DAYBOOK_KAFKA_TLS'), of('DAYBOOK_RABBITMQ_URL').slice(0, 6), new URL(of('DAYBOOK_POSTGRES_URL')).searchParams.get('sslmode')]).toEqual(['on', 'amqps:', 'verify-full']);
  const server = await start();
  await untilReady(server.url, 60_000);
  const { id } = await submit(server.url, { type: 'scenario.effect', payload: { name: 'by TLS', failures: 1 } });
  expect(await finished(server.url, id)).toMatchObject({ state: 'completed', attempt: 2 });
  expect((await eventsOf(server.url, id)).map(({ type }) => type)).toContain('TaskRetryScheduled');
  expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expectNoSecret(await server.said);
});

it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('logs in to Kafka by %s', async (sasl) => {
  const cluster = new KafkaCluster({
    brokers: of('DAYBOOK_KAFKA_BROKERS').split(','),
    tls: 'on',
    caFile: of('DAYBOOK_KAFKA_CA_FILE'),
    sasl,
    username: of('DAYBOOK_KAFKA_USERNAME'),
    password: of('DAYBOOK_KAFKA_PASSWORD'),
  }, 5_000);
  try {
    // A connection has a second; the broker's first login of a kind may take longer on a busy machine.
    await eventually(async () => (await cluster.brokers().catch(() => null))?.size === 1, { timeoutMs: 20_000 });
  } finally {
    await cluster.close();
  }
});

const wrong = 'not-the-password-1f3b';

it.each<[string, () => Variables, Readonly<Record<'Kafka' | 'RabbitMQ' | 'PostgreSQL', RegExp>>]>([
  [
    'a wrong password',
    () => ({
      DAYBOOK_KAFKA_PASSWORD: wrong,
      ...changed('DAYBOOK_RABBITMQ_URL', (url) => (url.password = wrong)),
      ...changed('DAYBOOK_POSTGRES_URL', (url) => (url.password = wrong)),
    }),
    {
      Kafka: /SASL authentication failed.*look at DAYBOOK_KAFKA_USERNAME and DAYBOOK_KAFKA_PASSWORD/,
      RabbitMQ: /Login was refused.*look at the name and the password in DAYBOOK_RABBITMQ_URL/,
      PostgreSQL: /password authentication failed.*look at the name, the password and the database in DAYBOOK_POSTGRES_URL/,
    },
  ],
  [
    'an authority that did not sign',
    () => {
      const { file } = makeCertificate(temporaryFolder(), 'IP:127.0.0.1');
      return { DAYBOOK_KAFKA_CA_FILE: file, DAYBOOK_RABBITMQ_CA_FILE: file, ...changed('DAYBOOK_POSTGRES_URL', (url) => url.searchParams.set('sslrootcert', file)) };
    },
    {
      Kafka: /self-signed certificate.*look at DAYBOOK_KAFKA_CA_FILE/,
      RabbitMQ: /self-signed certificate.*look at DAYBOOK_RABBITMQ_CA_FILE/,
      PostgreSQL: /self-signed certificate.*look at sslrootcert in DAYBOOK_POSTGRES_URL/,
    },
  ],
  [
    "a host that is not the certificate's",
    () => ({
      DAYBOOK_KAFKA_BROKERS: of('DAYBOOK_KAFKA_BROKERS').replace('127.0.0.1', 'localhost'),
      ...changed('DAYBOOK_RABBITMQ_URL', (url) => (url.hostname = 'localhost')),
      ...changed('DAYBOOK_POSTGRES_URL', (url) => (url.hostname = 'localhost')),
    }),
    {
      Kafka: /Host: localhost.*look at the host in DAYBOOK_KAFKA_BROKERS/,
      RabbitMQ: /Host: localhost.*look at the host in DAYBOOK_RABBITMQ_URL/,
      PostgreSQL: /Host: localhost.*look at the host in DAYBOOK_POSTGRES_URL/,
    },
  ],
  [
    'plain text where TLS is spoken',
    () => ({
      DAYBOOK_KAFKA_TLS: 'off',
      DAYBOOK_KAFKA_CA_FILE: '',
      DAYBOOK_RABBITMQ_CA_FILE: '',
      ...changed('DAYBOOK_POSTGRES_URL', (url) => (url.search = '')),
      DAYBOOK_RABBITMQ_URL: of('DAYBOOK_RABBITMQ_URL').replace('amqps:', 'amqp:'),
    }),
    {
      Kafka: /if the listener speaks TLS, set DAYBOOK_KAFKA_TLS=on/,
      RabbitMQ: /if the broker speaks TLS there, write amqps:\/\/ in DAYBOOK_RABBITMQ_URL/,
      PostgreSQL: /no encryption.*look at sslmode in DAYBOOK_POSTGRES_URL/,
    },
  ],
])('stays up, not ready, with %s, and names the setting to look at, without a secret', async (_name, changes, expected) => {
  const server = await start(changes());
  const details = async () => {
    const { status, body } = await get<{ dependencies: Record<string, { ok: boolean; detail: string }> }>(`${server.url}/readyz`);
    expect(status).toBe(503);
    return Object.values(body.dependencies).filter(({ ok }) => !ok).map(({ detail }) => detail);
  };
  for (const [name, message] of Object.entries(expected)) {
    await eventually(async () => (await details()).some((detail) => message.test(detail)), { timeoutMs: 30_000 }).catch(async () => {
      expect.fail(`${name}: none of these matches ${String(message)}:\n${(await details()).join('\n')}`);
    });
  }
  expect((await get(`${server.url}/livez`)).status).toBe(200);
  expectNoSecret(JSON.stringify(await details()));
  expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expectNoSecret(await server.said);
});

function expectNoSecret(text: string): void {
  const passwords = [of('DAYBOOK_KAFKA_PASSWORD'), ...['DAYBOOK_RABBITMQ_URL', 'DAYBOOK_POSTGRES_URL'].map((name) => new URL(of(name)).password), wrong];
  for (const password of passwords) {
    expect(password.length).toBeGreaterThan(0);
    expect(text.includes(password), 'a password stands in it').toBe(false);
  }
}

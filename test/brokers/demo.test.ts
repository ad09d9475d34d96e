import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { brokerOf } from '../support/brokers.ts';
import { demoEvents, demoOutcome } from '../support/demo-outcome.ts';
import { runDaybook } from '../support/daybook-process.ts';
import { KafkaTestTopic } from '../support/kafka-harness.ts';
import { removeTopic } from '../support/rabbitmq-broker.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface DemoAnswer {
  readonly ok: boolean;
  readonly wrong: readonly string[];
  readonly checks: ReadonlyArray<{ readonly name: string; readonly found: number }>;
  readonly topic: string;
}

it('runs the demo on the servers, on a topic of its own, and judges it from the log', async () => {
  const servers = {
    DAYBOOK_KAFKA_BROKERS: brokerOf('DAYBOOK_KAFKA_BROKERS'),
    DAYBOOK_RABBITMQ_URL: brokerOf('DAYBOOK_RABBITMQ_URL'),
    DAYBOOK_POSTGRES_URL: brokerOf('DAYBOOK_POSTGRES_URL'),
  };
  const files = join(temporaryFolder(), 'files');
  mkdirSync(files);
  for (const name of ['one', 'two', 'three']) writeFileSync(join(files, name), name);

  const { exitCode, stdout, stderr } = await runDaybook(['demo', '--brokers', files, '--json'], servers);
  const { ok, wrong, checks, topic } = JSON.parse(stdout) as DemoAnswer;
  onTestFinished(() => removeDemo(topic, servers.DAYBOOK_POSTGRES_URL));
  expect({ ok, wrong, exitCode }).toEqual({ ok: true, wrong: [], exitCode: 0 });
  expect(Object.fromEntries(checks.map(({ name, found }) => [name, found]))).toEqual(demoOutcome);
  expect(topic).toMatch(/^daybook-demo-[0-9a-f]{8}$/);
  for (const password of passwordsOf(servers)) expect(stderr).not.toContain(password);

  // Whoever reads the topic finds the whole history there: each attempt dispatched, started and ended, copies aside.
  const log = await runDaybook(['log', 'export'], { ...servers, DAYBOOK_TOPIC: topic });
  const ids = log.stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { headers: Record<string, string> }).headers['ce_id']);
  expect(new Set(ids).size).toBe(demoEvents);
});

it('ends with 78 and the command that starts servers where there are none', async () => {
  const { exitCode, stdout, stderr } = await runDaybook(['demo', '--brokers'], { BROKERS_DIR: temporaryFolder(), DAYBOOK_RABBITMQ_URL: 'amqp://127.0.0.1' });
  expect([exitCode, stdout]).toEqual([78, '']);
  expect(stderr).toContain('DAYBOOK_KAFKA_BROKERS, DAYBOOK_POSTGRES_URL are not set');
  expect(stderr).toContain('make brokers');
});

function passwordsOf(servers: Readonly<Record<string, string>>): string[] {
  return Object.values(servers).flatMap((value) => (URL.canParse(value) ? [new URL(value).password] : [])).filter((password) => password !== '');
}

async function removeDemo(topic: string, postgresUrl: string): Promise<void> {
  for (const name of [topic, `${topic}-presence`]) await new KafkaTestTopic(name).remove();
  await removeTopic(topic, ['default']);
  const client = new Client({ connectionString: postgresUrl });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${topic.replaceAll('-', '_')} CASCADE`);
  await client.end();
}

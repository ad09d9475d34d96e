import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { brokersFolder } from './brokers.ts';
import { exitOf } from './daybook-process.ts';

/** Ports and data of their own, beside the servers that other tests run on. */
const settings = {
  BROKERS_DIR: fileURLToPath(new URL('secured', brokersFolder)),
  KAFKA_PORT: process.env['SECURED_KAFKA_PORT'] ?? '29092',
  RABBITMQ_PORT: process.env['SECURED_RABBITMQ_PORT'] ?? '26672',
  POSTGRES_PORT: process.env['SECURED_POSTGRES_PORT'] ?? '25432',
  TLS: 'on',
};

/** Kafka, RabbitMQ and PostgreSQL that take nobody without TLS and a login: the `DAYBOOK_*` variables for them. */
export async function startSecuredBrokers(): Promise<Readonly<Record<string, string>>> {
  const lines = (await brokersTool('start')).trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

export async function stopSecuredBrokers(): Promise<void> {
  await brokersTool('stop');
}

async function brokersTool(name: 'start' | 'stop'): Promise<string> {
  const tool = fileURLToPath(new URL(`../../tools/brokers/${name}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [tool], { env: { ...process.env, ONLY: '', KAFKA_NODES: '1', ...settings }, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, { code }] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
  if (code !== 0) throw new Error(`the servers with TLS: ${name} ended with ${code}: ${stderr}`);
  return stdout;
}

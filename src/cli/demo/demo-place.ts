import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandError, exitCodes } from '../exit-codes.ts';

/** Where the demo keeps its history, its jobs and its read model. */
export interface DemoPlace {
  /** What the server is started with: settings of `startDaybook`. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** For the reader: what runs, and where the data is. */
  readonly engine: string;
  readonly data: string;
  /** Null on servers. */
  readonly dataDir: string | null;
  /** Null on files. */
  readonly topic: string | null;
  /** Commands that reach this place need them. Empty on files. */
  readonly environment: Readonly<Record<string, string>>;
  /** The file that holds the addresses, when the caller's environment does not; else null. */
  readonly environmentFile: string | null;
}

/** @param wanted must be empty or missing; default: a new folder among the temporary ones */
export async function placeOnFiles(wanted: string | undefined): Promise<DemoPlace> {
  const dataDir = wanted === undefined ? await mkdtemp(join(tmpdir(), 'daybook-demo-')) : await emptyFolder(wanted);
  const engine = 'embedded: api, dispatcher, worker and diary in this process';
  return { settings: { dataDir }, engine, data: dataDir, dataDir, topic: null, environment: {}, environmentFile: null };
}

const servers = ['DAYBOOK_KAFKA_BROKERS', 'DAYBOOK_RABBITMQ_URL', 'DAYBOOK_POSTGRES_URL'] as const;

/**
 * On the servers that the environment names; one that it does not name is the one that `make brokers` started. Topic
 * and schema are new ones, so that the demo meets nothing that is there.
 * @throws CommandError 78 when there is no such server; ConfigurationError
 */
export async function placeOnBrokers(environment: Readonly<Record<string, string | undefined>>): Promise<DemoPlace> {
  const file = join(environment['BROKERS_DIR'] ?? fileURLToPath(new URL('../../../.brokers', import.meta.url)), 'env');
  const started = existsSync(file) ? variablesIn(readFileSync(file, 'utf8')) : {};
  const isNamed = (name: string) => environment[name] !== undefined || environment[`${name}_FILE`] !== undefined;
  const unnamed = servers.filter((name) => !isNamed(name));
  const missing = unnamed.filter((name) => started[name] === undefined);
  if (missing.length > 0) throw new CommandError(exitCodes.configuration, `the demo on brokers needs servers: ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not set`, { next: 'make brokers' });
  const taken = Object.fromEntries(unnamed.map((name) => [name, started[name]]));
  const { loadConfig } = await import('../../apps/config.ts');
  const config = loadConfig({ ...environment, ...taken });
  const id = randomBytes(4).toString('hex');
  const [topic, schema] = [`daybook-demo-${id}`, `daybook_demo_${id}`];
  const { kafkaBrokers, kafkaTls, kafkaCaFile, kafkaSasl, kafkaUsername, kafkaPassword, topicPartitions, topicReplication, rabbitmqUrl, postgresUrl, claimsUrl } = config;
  const kafka = { kafkaBrokers, kafkaTls, kafkaCaFile, kafkaSasl, kafkaUsername, kafkaPassword, topic, topicPartitions, topicReplication };
  const hosts = [`Kafka ${kafkaBrokers?.join(',')}`, `RabbitMQ ${hostOf(rabbitmqUrl)}`, `PostgreSQL ${hostOf(postgresUrl)}`];
  return {
    settings: { ...kafka, rabbitmqUrl, postgresUrl, claimsUrl, schema },
    engine: `${hosts.join(', ')}: all roles in this process`,
    data: `topic ${topic}, schema ${schema}`,
    dataDir: null,
    topic,
    environment: { DAYBOOK_TOPIC: topic, DAYBOOK_SCHEMA: schema },
    environmentFile: unnamed.length > 0 ? file : null,
  };
}

/** Never the URL: it may hold a password. */
function hostOf(url: string | null): string {
  return url === null ? '' : new URL(url).host;
}

function variablesIn(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

async function emptyFolder(wanted: string): Promise<string> {
  const folder = resolve(wanted);
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length === 0) return folder;
  throw new CommandError(exitCodes.usage, `the demo needs an empty data folder, and ${folder} is not empty`, {
    next: 'leave --data-dir out, or name a new folder',
  });
}

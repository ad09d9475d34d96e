import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { onTestFinished } from 'vitest';
import { KafkaEventReader } from '../../src/adapters/kafka/kafka-event-reader.ts';
import { presenceTopicOf } from '../../src/adapters/kafka/presence-topic.ts';
import { RabbitmqNames } from '../../src/adapters/rabbitmq/rabbitmq-topology.ts';
import { recordedEvent, type Evidence, type HeldReceipt, type RecordedEvent } from '../guarantees/evidence.ts';
import { bin, readEffects, startDaybookProcess, type DaybookProcess } from './daybook-process.ts';
import { submit } from './daybook-http.ts';
import { eventually } from './eventually.ts';
import { KafkaTestTopic } from './kafka-harness.ts';
import { postgresUrl } from './postgres-harness.ts';
import { depthOf, rabbitmqUrl, removeTopic } from './rabbitmq-broker.ts';
import { temporaryFolder } from './temporary-folder.ts';

export type Role = 'api' | 'dispatcher' | 'worker' | 'diary';

const rabbitmqTool = fileURLToPath(new URL('../../tools/brokers/rabbitmq-tool.mjs', import.meta.url));

/**
 * Settings of a dispatcher to which something happens when it sends its first job with that text: `stall-kafka`, its
 * connections to Kafka fall silent; `freeze`, it stops where it stands, until SIGCONT.
 */
export function atDispatch(text: string, what: 'stall-kafka' | 'freeze'): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${new URL('at-dispatch.ts', import.meta.url).href}`, AT_DISPATCH_OF: text, AT_DISPATCH: what };
}

export interface HeldTask extends HeldReceipt {
  letEnd(): void;
}

/** The roles of one system as separate processes on real servers: a topic, queues and a schema of their own. */
export class BrokersSystem {
  readonly kafka = new KafkaTestTopic();
  readonly folder = temporaryFolder();
  readonly schema: string;
  readonly topic: string;
  // Asked once: while a test has a server stopped, nobody says where it was.
  readonly #rabbitmqUrl = rabbitmqUrl();
  readonly #postgresUrl = postgresUrl();
  readonly #settings: Readonly<Record<string, string>>;

  /** @param settings for every role, beside those that make it quick to notice deaths */
  constructor(settings: Readonly<Record<string, string>> = {}) {
    this.#settings = settings;
    this.topic = this.kafka.topic;
    this.schema = this.topic.replaceAll('-', '_');
    onTestFinished(() => this.#remove());
  }

  /** @param settings an empty one is not set at all */
  start(role: Role, settings: Readonly<Record<string, string>> = {}): Promise<DaybookProcess> {
    return startDaybookProcess({ folder: this.folder, command: [bin, 'start', role], settings: this.settings(settings) });
  }

  /** What a process of this system is started with. */
  settings(settings: Readonly<Record<string, string>> = {}): Record<string, string> {
    const all = {
      DAYBOOK_KAFKA_BROKERS: this.kafka.connection.brokers.join(','),
      DAYBOOK_RABBITMQ_URL: this.#rabbitmqUrl,
      DAYBOOK_POSTGRES_URL: this.#postgresUrl,
      DAYBOOK_SCHEMA: this.schema,
      DAYBOOK_TOPIC: this.topic,
      DAYBOOK_TOPIC_PARTITIONS: '4',
      DAYBOOK_SESSION_MS: '6000',
      DAYBOOK_LEASE_MS: '3000',
      DAYBOOK_DRAIN_SECONDS: '5',
      ...this.#settings,
      ...settings,
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  }

  async startAll(): Promise<Record<Role, DaybookProcess>> {
    const [api, dispatcher, worker, diary] = await Promise.all([this.start('api'), this.start('dispatcher'), this.start('worker'), this.start('diary')]);
    return { api, dispatcher, worker, diary };
  }

  /** Submits a task whose handler runs until it is let end, and waits until it runs. */
  async submitHeld(url: string, name: string): Promise<HeldTask> {
    const untilFile = join(this.folder, name.replaceAll(' ', '-'));
    const held = await submit(url, { type: 'scenario.effect', payload: { name, untilFile } });
    await eventually(() => this.runsOf(held.id) === 1, { timeoutMs: 20_000 });
    return { ...held, letEnd: () => writeFileSync(untilFile, '') };
  }

  /** How often handlers ran for a task, by their own account. */
  runsOf(taskId: string): number {
    return readEffects(this.folder).filter((effect) => effect.taskId === taskId).length;
  }

  /** The whole log, partition by partition. */
  async records(): Promise<RecordedEvent[]> {
    const reader = new KafkaEventReader({ connection: this.kafka.connection, topic: this.topic });
    try {
      const end = [...(await reader.endPositions()).values()].reduce((sum, offset) => sum + offset, 0);
      const cursor = reader.openCursor(new Map());
      const records: RecordedEvent[] = [];
      while (records.length < end) for (const record of await cursor.next({ maxRecords: 1_000, waitMs: 5_000 })) records.push(recordedEvent(record));
      cursor.close();
      return records.toSorted((one, other) => one.partition - other.partition || one.offset - other.offset);
    } finally {
      await reader.close();
    }
  }

  async eventsOf(taskId: string): Promise<RecordedEvent[]> {
    return (await this.records()).filter(({ key }) => key === taskId);
  }

  /** What the run left behind, once everything has come to its end. */
  async evidence(receipts: readonly HeldReceipt[]): Promise<Evidence> {
    const waiting = await depthOf(new RabbitmqNames(this.topic).laneQueue('default'));
    const jobs = Array.from({ length: waiting }, () => ({ taskId: 'a job that is left in the queue', attempt: 0, issue: 0 }));
    return { records: await this.records(), receipts, effects: readEffects(this.folder), jobs, parkedJobs: 0, heldClaims: await this.#heldClaims() };
  }

  /** Outcomes of a task that stand in its claims, recorded or not. */
  async storedOutcomes(taskId: string): Promise<number> {
    return (await this.sql(`SELECT FROM ${this.schema}.claims WHERE task_id = '${taskId}' AND event_id IS NOT NULL`)).length;
  }

  /** Jobs that workers hold, as RabbitMQ counts them. Only where `make brokers` runs it. */
  async unacknowledged(): Promise<number> {
    const queue = new RabbitmqNames(this.topic).laneQueue('default');
    const { stdout } = await promisify(execFile)(process.execPath, [rabbitmqTool, 'rabbitmqctl', '-q', '--no-table-headers', 'list_queues', 'name', 'messages_unacknowledged']);
    const line = stdout.split('\n').find((each) => each.startsWith(`${queue}\t`));
    if (line === undefined) throw new Error(`RabbitMQ does not list ${queue}: ${stdout}`);
    return Number(line.split('\t')[1]);
  }

  /** Runs SQL as an outsider would. */
  async sql<Row>(text: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.#postgresUrl });
    await client.connect();
    try {
      return (await client.query(text)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  async #heldClaims(): Promise<Evidence['heldClaims']> {
    return this.sql(`SELECT task_id AS "taskId", attempt FROM ${this.schema}.claims WHERE execution_id IS NOT NULL AND event_id IS NULL`);
  }

  async #remove(): Promise<void> {
    await Promise.all([this.kafka.remove(), new KafkaTestTopic(presenceTopicOf(this.topic)).remove()]);
    await removeTopic(this.topic, ['default']);
    await this.sql(`DROP SCHEMA IF EXISTS ${this.schema} CASCADE`);
  }
}

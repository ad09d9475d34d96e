import { Client } from 'pg';
import { onTestFinished } from 'vitest';
import { KafkaEventReader } from '../../src/adapters/kafka/kafka-event-reader.ts';
import { presenceTopicOf } from '../../src/adapters/kafka/presence-topic.ts';
import { RabbitmqNames } from '../../src/adapters/rabbitmq/rabbitmq-topology.ts';
import { recordedEvent, type Evidence, type HeldReceipt, type RecordedEvent } from '../guarantees/evidence.ts';
import { bin, readEffects, startDaybookProcess, type DaybookProcess } from './daybook-process.ts';
import { KafkaTestTopic } from './kafka-harness.ts';
import { postgresUrl } from './postgres-harness.ts';
import { depthOf, rabbitmqUrl, removeTopic } from './rabbitmq-broker.ts';
import { temporaryFolder } from './temporary-folder.ts';

export type Role = 'api' | 'dispatcher' | 'worker' | 'diary';

/** The roles of one system as separate processes on real servers: a topic, queues and a schema of their own. */
export class BrokersSystem {
  readonly kafka = new KafkaTestTopic();
  readonly folder = temporaryFolder();
  readonly schema: string;
  readonly topic: string;

  constructor() {
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
      DAYBOOK_RABBITMQ_URL: rabbitmqUrl(),
      DAYBOOK_POSTGRES_URL: postgresUrl(),
      DAYBOOK_SCHEMA: this.schema,
      DAYBOOK_TOPIC: this.topic,
      DAYBOOK_TOPIC_PARTITIONS: '4',
      DAYBOOK_SESSION_MS: '6000',
      DAYBOOK_LEASE_MS: '3000',
      DAYBOOK_DRAIN_SECONDS: '5',
      ...settings,
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  }

  async startAll(): Promise<Record<Role, DaybookProcess>> {
    const [api, dispatcher, worker, diary] = await Promise.all([this.start('api'), this.start('dispatcher'), this.start('worker'), this.start('diary')]);
    return { api, dispatcher, worker, diary };
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

  /** Runs SQL as an outsider would. */
  async sql<Row>(text: string): Promise<Row[]> {
    const client = new Client({ connectionString: postgresUrl() });
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

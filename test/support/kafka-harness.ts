import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Admin } from '@platformatic/kafka';
import { KafkaCluster, type TopicMetadata } from '../../src/adapters/kafka/kafka-cluster.ts';
import { clientOptions, type KafkaConnection } from '../../src/adapters/kafka/kafka-connection.ts';
import { KafkaEventAppender } from '../../src/adapters/kafka/kafka-event-appender.ts';
import { KafkaEventReader } from '../../src/adapters/kafka/kafka-event-reader.ts';
import { KafkaPresenceReader } from '../../src/adapters/kafka/kafka-presence-reader.ts';
import { KafkaPresenceWriter } from '../../src/adapters/kafka/kafka-presence-writer.ts';
import { createTopic } from '../../src/adapters/kafka/kafka-topic.ts';
import { createPresenceTopic, presenceTopicOf } from '../../src/adapters/kafka/presence-topic.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import type { LogPosition, LogRecord } from '../../src/domain/log-record.ts';
import type { AppendedRecord, EventAppender } from '../../src/ports/event-appender.ts';
import type { EventLogHarness, OpenLog } from '../contracts/event-log.contract.ts';
import type { PresenceHarness } from '../contracts/presence.contract.ts';
import { eventually } from './eventually.ts';
import type { AppendAnswer } from './kafka-crash-child.ts';
import { brokerFiles, kafkaConnection } from './kafka-brokers.ts';
import { StalledNetwork } from './kafka-stalled-network.ts';
import { silent } from './silent-logger.ts';

/** A topic of its own on the cluster of the tests, removed with `remove`. */
export class KafkaTestTopic {
  readonly connection: KafkaConnection = kafkaConnection();
  readonly topic: string;
  readonly #admin: Admin;
  readonly #cluster: KafkaCluster;

  constructor(topic = `daybook-test-${randomUUID()}`) {
    this.topic = topic;
    this.#admin = new Admin({ ...clientOptions(this.connection), retries: 3, retryDelay: 100, requestTimeout: 10_000 });
    this.#cluster = new KafkaCluster(this.connection);
  }

  async create(partitions = 3): Promise<void> {
    await createTopic({ connection: this.connection, topic: this.topic, partitions });
  }

  metadata(): Promise<TopicMetadata | null> {
    return this.#cluster.topic(this.topic);
  }

  /** Another one after it was created anew. Fails while there is none. */
  async id(): Promise<string> {
    const metadata = await this.metadata();
    if (!metadata) throw new Error(`there is no topic ${this.topic}`);
    return metadata.topicId;
  }

  /** Resolves when the brokers know nothing of it any more. */
  async delete(): Promise<void> {
    if (!(await this.#cluster.topic(this.topic))) return;
    await this.#admin.deleteTopics({ topics: [this.topic] });
    await eventually(async () => (await this.#cluster.topic(this.topic)) === null, { timeoutMs: 15_000 });
  }

  async recreate(partitions = 3): Promise<void> {
    await this.delete();
    await this.create(partitions);
  }

  async addPartitions(count: number): Promise<void> {
    await this.#admin.createPartitions({ topics: [{ name: this.topic, count, assignments: null }] });
    await eventually(async () => (await this.#cluster.topic(this.topic))?.partitions.length === count, { timeoutMs: 15_000 });
  }

  async configure(name: string, value: string): Promise<void> {
    // Resource 2 is a topic, operation 0 sets a value.
    await this.#admin.incrementalAlterConfigs({ resources: [{ resourceType: 2, resourceName: this.topic, configs: [{ name, configOperation: 0, value }] }] });
  }

  /** Deletes the topic and lets go of everything. Idempotent. */
  async remove(): Promise<void> {
    await this.delete();
    await Promise.all([this.#admin.close(), this.#cluster.close()]);
  }
}

/** Puts the Kafka adapters under the contract, on a topic of three partitions. A crash is that of another process. */
export async function kafkaEventLogHarness(): Promise<EventLogHarness> {
  const network = new StalledNetwork();
  const testTopic = new KafkaTestTopic();
  const { connection, topic } = testTopic;
  const closing: (() => Promise<unknown>)[] = [];

  const openReader = (): KafkaEventReader => {
    const reader = new KafkaEventReader({ connection, topic });
    closing.push(() => reader.close());
    return reader;
  };
  const open = async (): Promise<OpenLog> => {
    await testTopic.create();
    const appender = new KafkaEventAppender({ connection, topic });
    const reader = openReader();
    const close = async (): Promise<void> => void (await Promise.all([appender.close(), reader.close()]));
    closing.push(close);
    return { appender, reader, close };
  };
  return {
    open,
    openReader: async () => openReader(),
    async reopenAfterCrash(work) {
      await testTopic.create();
      await inDoomedProcess(connection, topic, work);
      return open();
    },
    async breakLog() {
      network.stall();
      return async () => network.resume();
    },
    async plantCorruptRecord() {
      const appender = new KafkaEventAppender({ connection, topic });
      const position = await appender.append({ key: 'planted', headers: [], value: Buffer.from('this will be damaged') });
      await appender.close();
      damageLastBatch(topic, position);
      return { partition: position.partition, offset: position.offset };
    },
    deleteLog: () => testTopic.delete(),
    tooManyBytes: 1024 * 1024 + 1,
    deadlineMs: 4_500,
    async close() {
      network.close();
      for (const close of closing.splice(0).toReversed()) await close();
      await testTopic.remove();
    },
  };
}

/** Changes one byte of the last batch in the broker's file, as a failing disk does. Nobody but a reader notices. */
export function damageLastBatch(topic: string, { partition }: LogPosition): void {
  const folder = join(brokerFiles() ?? 'the broker is elsewhere', `${topic}-${partition}`);
  const segment = readdirSync(folder).filter((name) => name.endsWith('.log')).toSorted().at(-1) as string;
  const file = openSync(join(folder, segment), 'r+');
  try {
    const last = fstatSync(file).size - 1;
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, last);
    writeSync(file, Uint8Array.of((byte[0] ?? 0) ^ 0xff), 0, 1, last);
  } finally {
    closeSync(file);
  }
}

async function inDoomedProcess(connection: KafkaConnection, topic: string, work: (appender: Pick<EventAppender, 'append'>) => Promise<unknown>): Promise<void> {
  const script = fileURLToPath(new URL('kafka-crash-child.ts', import.meta.url));
  const child = fork(script, [connection.brokers.join(','), topic], { serialization: 'advanced', execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  try {
    await work({ append: askToAppend(child) });
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

function askToAppend(child: ChildProcess): EventAppender['append'] {
  const answers = new Map<number, (answer: AppendAnswer) => void>();
  child.on('message', (answer: AppendAnswer) => answers.get(answer.id)?.(answer));
  return (record: LogRecord) =>
    new Promise<AppendedRecord>((resolve, reject) => {
      const id = answers.size + 1;
      answers.set(id, ({ appended, error }) => (appended ? resolve(appended) : reject(new Error(error))));
      child.send({ id, record }, () => undefined);
    });
}

/** A presence time that keeps tests short; a reader is current after it. */
export const testPresenceMs = 1_500;

/** Heartbeats on the presence topic of a topic of its own, which need not exist itself. */
export async function kafkaPresenceHarness(): Promise<PresenceHarness> {
  const network = new StalledNetwork();
  const connection = kafkaConnection();
  const topic = `daybook-test-${randomUUID()}`;
  const place = new KafkaTestTopic(presenceTopicOf(topic));
  const closing: (() => Promise<void>)[] = [];
  return {
    openWriter() {
      const writer = new KafkaPresenceWriter({ connection, topic });
      closing.push(() => writer.close());
      return writer;
    },
    openReader() {
      const reader = new KafkaPresenceReader({ connection, topic, presenceMs: testPresenceMs, clock: new SystemClock(), logger: silent });
      closing.push(() => reader.stop());
      return reader;
    },
    async breakPresence() {
      network.stall();
      return async () => network.resume();
    },
    async plantUnreadable() {
      const appender = new KafkaEventAppender({ connection, topic: place.topic });
      await appender.append({ key: 'worker-1', headers: [], value: Buffer.from('this is no heartbeat') });
      await appender.append({ key: 'worker-1', headers: [], value: Buffer.from('{"workerId":"worker-1","held":17}') });
      await appender.close();
    },
    async recreatePlace() {
      await place.delete();
      await createPresenceTopic({ connection, topic });
    },
    deadlineMs: 4_500,
    patienceMs: 20_000,
    async close() {
      network.close();
      for (const close of closing.splice(0).toReversed()) await close();
      await place.remove();
    },
  };
}

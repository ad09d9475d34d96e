import { DaybookError } from '../../domain/errors.ts';
import type { LogPosition, Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventCursor, EventReader } from '../../ports/event-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import { KafkaCluster, type TopicMetadata } from './kafka-cluster.ts';
import { clientOptions, openPool, type KafkaConnection } from './kafka-connection.ts';
import { describeFailure, topicMissing, unavailable } from './kafka-errors.ts';
import { KafkaEventCursor } from './kafka-event-cursor.ts';
import { RecordsAt } from './read-records-at.ts';

export interface KafkaEventReaderOptions {
  readonly connection: KafkaConnection;
  readonly topic: string;
  /** How long a question other than a cursor's may go without an answer, default 4,000 ms. */
  readonly deadlineMs?: number;
  readonly logger?: Logger;
}

const pauseMs = 50;

/**
 * Reads a topic by itself: no consumer group, no committed offsets, every record checked by its checksum. It knows a
 * topic by its id: one that was deleted and created anew under the same name is `history-lost`, until `identity` was
 * asked again. Also `endPositions` and `readAt` say so, rather than answer for another log.
 */
export class KafkaEventReader implements EventReader {
  readonly topic: string;
  readonly #connection: KafkaConnection;
  readonly #deadlineMs: number;
  readonly #logger: Logger | undefined;
  readonly #cluster: KafkaCluster;
  readonly #cursors = new Set<EventCursor>();
  #topicId: string | undefined;
  #closed = false;

  /** Connects with the first question. */
  constructor({ connection, topic, deadlineMs = 4_000, logger }: KafkaEventReaderOptions) {
    this.topic = topic;
    this.#connection = connection;
    this.#deadlineMs = deadlineMs;
    this.#logger = logger;
    this.#cluster = new KafkaCluster(connection);
  }

  /** The ids of the cluster and of the topic. */
  identity(): Promise<string> {
    return this.#answer(async () => {
      const { clusterId, topicId } = await this.#metadata();
      this.#topicId = topicId;
      return `${clusterId}/${topicId}`;
    });
  }

  endPositions(): Promise<Positions> {
    return this.#answer(async () => {
      const metadata = await this.#sameTopic();
      return this.#cluster.offsets(this.topic, metadata, metadata.partitions.keys(), -1);
    });
  }

  openCursor(from: Positions, partitions?: ReadonlySet<number>): EventCursor {
    const pool = openPool(clientOptions(this.#connection), { connectTimeout: 1_000, requestTimeout: 2_500, maxInflights: 1 });
    const source = { topic: this.topic, cluster: this.#cluster, pool, topicId: this.#topicId, logger: this.#logger, wanted: partitions };
    const cursor = new KafkaEventCursor(source, from, () => this.#cursors.delete(cursor));
    this.#cursors.add(cursor);
    return cursor;
  }

  async readAt(positions: readonly LogPosition[]): Promise<ReadonlyArray<StoredRecord | null>> {
    const records = new RecordsAt(this.#cluster, this.topic, positions);
    let metadata: TopicMetadata | undefined;
    while (records.left > 0) {
      metadata = await this.#answer(async () => {
        const known = metadata ?? (await this.#sameTopic());
        // After a failure the leaders are looked up again.
        metadata = undefined;
        await decideSome(records, known);
        return known;
      });
    }
    return positions.map((position) => records.found(position));
  }

  /** Closes its cursors too. Bounded and idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cursor of this.#cursors) cursor.close();
    await this.#cluster.close();
  }

  async #sameTopic(): Promise<TopicMetadata> {
    const metadata = await this.#metadata();
    this.#topicId ??= metadata.topicId;
    if (metadata.topicId === this.#topicId) return metadata;
    throw new DaybookError('history-lost', `The topic ${this.topic} was deleted and created anew: its id was ${this.#topicId}, now it is ${metadata.topicId}`);
  }

  async #metadata(): Promise<TopicMetadata> {
    const metadata = await this.#cluster.topic(this.topic);
    if (!metadata) throw topicMissing(this.topic, this.#topicId);
    return metadata;
  }

  /** Asks until there is an answer or the deadline is over: leaders change, and brokers come back. */
  async #answer<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const startMs = performance.now();
    for (;;) {
      if (this.#closed) throw new DaybookError('stopped', 'The reader was closed');
      try {
        return await ask();
      } catch (error) {
        if (error instanceof DaybookError && error.code !== 'log-unavailable') throw error;
        if (performance.now() - startMs + pauseMs < this.#deadlineMs && !this.#closed) await pause();
        else throw error instanceof DaybookError ? error : unavailable(`Kafka did not answer for the topic ${this.topic}: ${describeFailure(error)}`, error);
      }
    }
  }
}

async function decideSome(records: RecordsAt, metadata: TopicMetadata): Promise<void> {
  const before = records.left;
  await records.proceed(metadata);
  if (records.left === before) throw new Error('no leader gave the records now');
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pauseMs));
}

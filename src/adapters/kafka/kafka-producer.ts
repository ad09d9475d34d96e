import { kGetApi, Producer, UnsupportedApiError, type API, type Callback, type Connection, type MessageToProduce, type ProducerOptions } from '@platformatic/kafka';
import { clientOptions, closeClient, hearErrors, type ClientOptions, type KafkaConnection } from './kafka-connection.ts';
import { errorCode } from './kafka-errors.ts';
import { produceRecords, produceVersion, type ProduceAnswer, type ProduceOptions, type UnsentRecord } from './produce-request.ts';

export interface ProducedMessage {
  readonly topic: string;
  /** Set once the topic's partition count is known. */
  partition: number;
  /** The whole record, key and headers included, as `encodeRecord` gives it: for the library that is its value. */
  readonly value: Buffer;
}

/** What a leader answered for the records of one partition. */
export interface PartitionAnswer {
  readonly errorCode: number;
  /** Of the first record; the others follow it. */
  readonly baseOffset: number;
  /** By the log's clock, epoch milliseconds. */
  readonly appendedMs: number;
}

export interface SendReport {
  /** A partition without an answer may have its records or not. */
  readonly answers: ReadonlyMap<number, PartitionAnswer>;
  readonly failure: Error | null;
}

const rebuildPauseMs = 200;
const oldProducerMs = 3_000;
/** The library does not wrap its sequence numbers of 32 bits. */
const recordsPerProducer = 1_000_000_000;

/**
 * The library's producer, replaced by a new one after a failed send. The old one would go on asking its first
 * bootstrap server for the leaders, also when that one is frozen; the new one starts with another server.
 *
 * Idempotent: within one producer's life a batch that was sent twice is stored once.
 */
export class KafkaProducer {
  readonly #options: ClientOptions;
  readonly #retired = new Set<Producer>();
  #current: ReportingProducer;
  #rebuiltMs = -Infinity;
  #sent = 0;
  #rotation = 0;

  constructor(connection: KafkaConnection) {
    this.#options = clientOptions(connection);
    this.#current = this.#build();
  }

  /**
   * Sends messages of one topic to the partitions that they name, and waits until every in-sync replica has them. Up
   * to three attempts, of about a second each. One send may have a partition at a time. Never rejects.
   */
  async send(messages: readonly ProducedMessage[]): Promise<SendReport> {
    const producer = this.#current;
    this.#sent += messages.length;
    const failure = await producer.deliver(messages);
    const answers = new Map<number, PartitionAnswer>();
    for (const { partition } of messages) {
      const answer = producer.takeAnswer(partition);
      if (answer) answers.set(partition, answer);
    }
    if (failure || this.#sent > recordsPerProducer) this.#rebuild(producer);
    return { answers, failure };
  }

  /** Breaks off sends under way. Bounded. */
  async close(): Promise<void> {
    await Promise.all([...this.#retired, this.#current].map(closeClient));
  }

  #rebuild(failed: Producer): void {
    const nowMs = performance.now();
    if (failed !== this.#current || nowMs - this.#rebuiltMs < rebuildPauseMs) return;
    this.#rebuiltMs = nowMs;
    this.#rotation += 1;
    this.#sent = 0;
    this.#current = this.#build();
    this.#retire(failed);
  }

  /** Sends to other leaders may still run on it. */
  #retire(producer: Producer): void {
    this.#retired.add(producer);
    setTimeout(() => void closeClient(producer).then(() => this.#retired.delete(producer)), oldProducerMs).unref();
  }

  #build(): ReportingProducer {
    const { bootstrapBrokers, ...options } = this.#options;
    const first = this.#rotation % bootstrapBrokers.length;
    return new ReportingProducer({
      ...options,
      bootstrapBrokers: [...bootstrapBrokers.slice(first), ...bootstrapBrokers.slice(0, first)],
      idempotent: true,
      // With 0, the library's default, the broker would be asked to go on with a stranger's producer id.
      producerId: -1n,
      producerEpoch: -1,
      // The fewest that the library takes with idempotence: fewer mean "for ever".
      retries: 2,
      retryDelay: 100,
      // The broker gives up before the client does, else its answer is lost.
      timeout: 900,
      requestTimeout: 1_000,
      connectTimeout: 1_000,
      maxInflights: 1,
      metadataMaxAge: 300_000,
      autocreateTopics: false,
    });
  }
}

/**
 * Encodes the records itself, and keeps what the leaders answered: the library passes on no timestamps, and of a send
 * that failed in part nothing.
 */
class ReportingProducer extends Producer {
  readonly #answers = new Map<number, PartitionAnswer>();

  constructor(options: ProducerOptions<Buffer, Buffer, Buffer, Buffer>) {
    super(options);
    hearErrors(this.connections);
  }

  /** Resolves with what went wrong. */
  deliver(messages: readonly ProducedMessage[]): Promise<Error | null> {
    return new Promise((resolve) => {
      try {
        // `acks` of the constructor is not heard by the library: it has to be in every send.
        this.send({ messages: messages as MessageToProduce[], acks: -1 }, (error) => resolve(error));
      } catch (error) {
        resolve(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  takeAnswer(partition: number): PartitionAnswer | undefined {
    const answer = this.#answers.get(partition);
    this.#answers.delete(partition);
    return answer;
  }

  override [kGetApi]<Request extends unknown[], Response>(name: string, callback: Callback<API<Request, Response>>): void {
    if (name !== 'Produce') return super[kGetApi](name, callback);
    super[kGetApi]<Request, Response>(name, (error, api) => {
      if (error || !api) return callback(error);
      if (api.version < produceVersion) return callback(new UnsupportedApiError(`The broker takes Produce up to version ${api.version}; it has to take version ${produceVersion}. Use Kafka 3.9 or later`));
      callback(null, this.#produce as unknown as API<Request, Response>);
    });
  }

  readonly #produce = (connection: Connection, acks: number, timeoutMs: number, records: readonly UnsentRecord[], options: ProduceOptions, done: Callback<ProduceAnswer>): void => {
    produceRecords(connection, acks, timeoutMs, records, options, (error, answer) => {
      this.#keep(error && 'response' in error ? (error.response as ProduceAnswer) : answer);
      done(error, answer);
    });
  };

  /** An attempt that was stored counts, whatever a later attempt of the same send says. */
  #keep(answer: ProduceAnswer | undefined): void {
    for (const { partitionResponses } of answer?.responses ?? []) {
      for (const { index, errorCode: code, baseOffset, logAppendTimeMs } of partitionResponses) {
        if (this.#answers.get(index)?.errorCode === errorCode.none) continue;
        this.#answers.set(index, { errorCode: code, baseOffset: Number(baseOffset), appendedMs: Number(logAppendTimeMs) });
      }
    }
  }
}

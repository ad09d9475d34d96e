import { DaybookError } from '../../domain/errors.ts';
import type { LogRecord } from '../../domain/log-record.ts';
import { partitionOf } from '../../domain/partition-of.ts';
import type { AppendedRecord, EventAppender } from '../../ports/event-appender.ts';
import { AppendQueue, type WaitingRecord } from './append-queue.ts';
import { groupByLeader, KafkaCluster } from './kafka-cluster.ts';
import { settlesWithin, type KafkaConnection } from './kafka-connection.ts';
import { describeFailure, errorCode, errorName, unavailable } from './kafka-errors.ts';
import { KafkaProducer, type PartitionAnswer, type ProducedMessage, type SendReport } from './kafka-producer.ts';
import type { KnownTopic } from './kafka-topic.ts';
import { encodeRecord } from './record-encoder.ts';
import { maxBatchBytes, maxRecordBytes } from './size-limits.ts';
import { TopicWatch } from './topic-watch.ts';

export interface KafkaEventAppenderOptions {
  readonly connection: KafkaConnection;
  readonly topic: string;
  /** The topic that it has to be; default: the first one that is found under that name. */
  readonly known?: KnownTopic;
  /** A record that was not confirmed after this time is `log-unavailable`; default 4,000 ms. */
  readonly deadlineMs?: number;
  /** Records that may wait, default 20,000; a further one is refused at once. */
  readonly maxWaiting?: number;
  /** Their bytes, default 64 MiB. */
  readonly maxWaitingBytes?: number;
}

const recordsPerSend = 1_000;
const checkMs = 50;
const shortestHoldMs = 50;
const longestHoldMs = 500;
/** How long a failed send is news. */
const failureCountsMs = 5_000;
/** Around a record in its batch: lengths, timestamp, offset. */
const recordOverheadBytes = 32;
/** The broker will not take that record, or not so many at once. */
const tooLarge: ReadonlySet<number> = new Set([errorCode.messageTooLarge, errorCode.recordListTooLarge, errorCode.invalidRecord]);

/**
 * Appends to a topic, with the acknowledgement of every in-sync replica.
 *
 * Records that were given in one turn of the event loop go out together, and those that come while a send is out make
 * the next one: one send at a time for each leader, so that a dead broker holds up its own partitions only, and a
 * record never overtakes another of its partition. What failed is sent again, ahead of everything newer, until its
 * deadline; copies that this leaves behind have the same event id. The partition is always ours to choose.
 *
 * Unsettled calls of one key are stored in the order they were made, which is more than the port promises.
 */
export class KafkaEventAppender implements EventAppender {
  readonly topic: string;
  readonly #deadlineMs: number;
  readonly #maxWaiting: number;
  readonly #maxWaitingBytes: number;
  readonly #cluster: KafkaCluster;
  readonly #producer: KafkaProducer;
  readonly #watch: TopicWatch;
  /** Until the topic's partition count is known. */
  #early: WaitingRecord[] = [];
  #queue: AppendQueue | undefined;
  readonly #outside = new Set<readonly WaitingRecord[]>();
  readonly #busyLeaders = new Set<number>();
  readonly #busyPartitions = new Set<number>();
  /** After a failure a leader rests for a moment. */
  readonly #holds = new Map<number, { readonly untilMs: number; readonly stepMs: number }>();
  /** For each partition the highest offset that was acknowledged here. */
  readonly #highest = new Map<number, number>();
  #turn = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #lastFailure: string | undefined;
  /** When a send failed, if none succeeded since. */
  #failedMs = -Infinity;
  #flushing: NodeJS.Immediate | undefined;
  #checking: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  /** Connects by itself and keeps trying; until then appends wait for their deadline. */
  constructor({ connection, topic, known, deadlineMs = 4_000, maxWaiting = 20_000, maxWaitingBytes = 64 * 1024 * 1024 }: KafkaEventAppenderOptions) {
    this.topic = topic;
    this.#deadlineMs = deadlineMs;
    this.#maxWaiting = maxWaiting;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#cluster = new KafkaCluster(connection);
    this.#producer = new KafkaProducer(connection);
    this.#watch = new TopicWatch(this.#cluster, topic, known, () => this.#topicChanged());
  }

  append(record: LogRecord): Promise<AppendedRecord> {
    const message: ProducedMessage = { topic: this.topic, partition: -1, value: encodeRecord(record) };
    const bytes = message.value.length + recordOverheadBytes;
    const refusal = this.#refusal(record.key, bytes);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#accept({ key: record.key, message, bytes, queuedMs: performance.now(), resolve, reject, settled: false });
    });
  }

  /**
   * Whether the log can be written, also while nobody writes: the cluster is asked every 2 s. A send that failed counts
   * until one succeeds, and for 5 s at most: with nobody sending on, nobody would find out that it works again.
   */
  health(): { readonly ok: boolean; readonly detail: string } {
    const isFailing = performance.now() - this.#failedMs < failureCountsMs;
    const trouble = this.#watch.trouble ?? (isFailing ? this.#problem() : null);
    return { ok: trouble === null, detail: trouble ?? 'takes events' };
  }

  /** Takes nothing more, waits until every record has settled, which its deadline bounds, and lets go of the connections. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#waiting > 0) await settlesWithin(idle, this.#deadlineMs + 10 * checkMs);
    this.#watch.close();
    clearTimeout(this.#checking);
    clearImmediate(this.#flushing);
    await Promise.all([this.#producer.close(), this.#cluster.close()]);
  }

  #refusal(key: string, bytes: number): DaybookError | undefined {
    if (this.#closing) return new DaybookError('stopped', 'The log was closed');
    if (bytes > maxRecordBytes) return new DaybookError('log-rejected', `The record of task ${key} takes ${bytes} bytes; the log takes at most ${maxRecordBytes} a record. Make its value smaller`);
    if (this.#watch.refusal) return this.#watch.refusal;
    if (this.#waiting < this.#maxWaiting && this.#waitingBytes + bytes <= this.#maxWaitingBytes) return undefined;
    return unavailable(`${this.#waiting} records (${this.#waitingBytes} bytes) wait for Kafka already: ${this.#problem()}`);
  }

  #accept(record: WaitingRecord): void {
    this.#waiting += 1;
    this.#waitingBytes += record.bytes;
    if (this.#queue) this.#place(this.#queue, record);
    else this.#early.push(record);
    this.#checking ??= setTimeout(this.#checkDeadlines, checkMs);
    this.#flushSoon();
  }

  #place(queue: AppendQueue, record: WaitingRecord): void {
    record.message.partition = partitionOf(record.key, this.#watch.metadata?.partitions.length ?? 1);
    queue.add(record);
  }

  #flushSoon(): void {
    this.#flushing ??= setImmediate(this.#flush);
  }

  /** Starts a send at every leader that has none and that records wait for. */
  readonly #flush = (): void => {
    this.#flushing = undefined;
    const { metadata, refusal } = this.#watch;
    if (refusal) return this.#refuseAll(refusal);
    if (!this.#queue || !metadata) return;
    const idle = this.#queue.waiting().filter((partition) => !this.#busyPartitions.has(partition));
    const nowMs = performance.now();
    for (const [leader, partitions] of groupByLeader(this.#inTurn(idle), metadata.partitions)) {
      if (leader < 0 || this.#busyLeaders.has(leader) || (this.#holds.get(leader)?.untilMs ?? 0) > nowMs) continue;
      const batch = this.#queue.take(partitions);
      if (batch.size > 0) void this.#send(leader, batch);
    }
  };

  /** A full send has no room for the last partitions: each time others are the first. */
  #inTurn(partitions: readonly number[]): number[] {
    this.#turn += 1;
    const first = this.#turn % Math.max(1, partitions.length);
    return [...partitions.slice(first), ...partitions.slice(0, first)];
  }

  async #send(leader: number, batch: ReadonlyMap<number, WaitingRecord[]>): Promise<void> {
    const lists = [...batch.values()];
    this.#busyLeaders.add(leader);
    for (const partition of batch.keys()) this.#busyPartitions.add(partition);
    for (const records of lists) this.#outside.add(records);
    const report = await this.#producer.send(lists.flatMap((records) => records.map(({ message }) => message)));
    this.#busyLeaders.delete(leader);
    for (const partition of batch.keys()) this.#busyPartitions.delete(partition);
    // They leave when they are settled or wait again: what refuses everything in between has to find them.
    this.#settle(leader, batch, report);
    for (const records of lists) this.#outside.delete(records);
    this.#flushSoon();
  }

  #settle(leader: number, batch: ReadonlyMap<number, WaitingRecord[]>, { answers, failure }: SendReport): void {
    let unconfirmed = false;
    for (const [partition, records] of batch) {
      const answer = answers.get(partition);
      if (answer?.errorCode === errorCode.none) this.#confirm(partition, records, answer);
      else if (answer && tooLarge.has(answer.errorCode)) this.#meetTooLarge(partition, records, answer.errorCode);
      else {
        unconfirmed = true;
        this.#sendAgain(partition, records);
      }
    }
    if (unconfirmed) this.#hold(leader, failure);
    else this.#release(leader);
  }

  #confirm(partition: number, records: readonly WaitingRecord[], { baseOffset, appendedMs }: PartitionAnswer): void {
    // The first sign of a topic that was created anew between two looks at its id.
    if (baseOffset <= (this.#highest.get(partition) ?? -1)) return this.#watch.refuse(`partition ${partition} gave out offset ${baseOffset} a second time, so it lost its history`);
    this.#highest.set(partition, baseOffset + records.length - 1);
    // A topic that does not keep the log's time has no better one; its configuration is refused elsewhere.
    const timestampMs = appendedMs >= 0 ? appendedMs : Date.now();
    records.forEach((record, index) => {
      if (this.#finish(record)) record.resolve({ partition, offset: baseOffset + index, timestampMs });
    });
  }

  /** The limit is on the batch: halves are tried until a record that is too large stands alone. */
  #meetTooLarge(partition: number, records: readonly WaitingRecord[], code: number): void {
    const [alone, ...others] = records;
    if (alone && others.length === 0) {
      this.#fail(alone, new DaybookError('log-rejected', `The topic ${this.topic} does not take the record of task ${alone.key}, ${alone.bytes} bytes: ${errorName(code)}. Make its value smaller, or check the topic with: daybook topic check`));
      return;
    }
    this.#queue?.halve(partition, records.length);
    this.#sendAgain(partition, records);
  }

  #sendAgain(partition: number, records: readonly WaitingRecord[]): void {
    this.#queue?.putBack(partition, records.filter(({ settled }) => !settled));
  }

  /** Also when no record is left to be sent again: the leaders have to be found anew all the same. */
  #hold(leader: number, failure: Error | null): void {
    const stepMs = Math.min(longestHoldMs, (this.#holds.get(leader)?.stepMs ?? shortestHoldMs / 2) * 2);
    this.#holds.set(leader, { untilMs: performance.now() + stepMs, stepMs });
    this.#lastFailure = failure ? describeFailure(failure) : undefined;
    this.#failedMs = performance.now();
    this.#watch.lookSoon();
    setTimeout(() => this.#flushSoon(), stepMs).unref();
  }

  #release(leader: number): void {
    this.#holds.delete(leader);
    this.#lastFailure = undefined;
    this.#failedMs = -Infinity;
  }

  #topicChanged(): void {
    const { metadata, refusal } = this.#watch;
    if (refusal) return this.#refuseAll(refusal);
    if (!this.#queue && metadata) {
      this.#queue = new AppendQueue(metadata.partitions.length, { maxRecords: recordsPerSend, maxPartitionBytes: maxBatchBytes });
      for (const record of this.#early.splice(0)) this.#place(this.#queue, record);
    }
    this.#flushSoon();
  }

  #refuseAll(refusal: DaybookError): void {
    for (const record of this.#takeOlderThan(Infinity)) this.#fail(record, refusal);
  }

  readonly #checkDeadlines = (): void => {
    this.#checking = this.#waiting > 0 ? setTimeout(this.#checkDeadlines, checkMs) : undefined;
    const late = this.#takeOlderThan(performance.now() - this.#deadlineMs);
    if (late.length === 0) return;
    const error = unavailable(`Kafka did not confirm the record within ${this.#deadlineMs} ms: ${this.#problem()}`);
    for (const record of late) this.#fail(record, error);
  };

  /** Those on their way stay there, settled: their places in the batch are needed to count offsets. */
  #takeOlderThan(queuedMs: number): WaitingRecord[] {
    const young = this.#early.findIndex((record) => record.queuedMs >= queuedMs);
    const early = this.#early.splice(0, young < 0 ? this.#early.length : young);
    const outside = [...this.#outside].flatMap((records) => records.filter((record) => record.queuedMs < queuedMs));
    return [...early, ...(this.#queue?.takeOlderThan(queuedMs) ?? []), ...outside];
  }

  #fail(record: WaitingRecord, error: DaybookError): void {
    if (this.#finish(record)) record.reject(error);
  }

  /** False when the record was settled before. */
  #finish(record: WaitingRecord): boolean {
    if (record.settled) return false;
    record.settled = true;
    this.#waiting -= 1;
    this.#waitingBytes -= record.bytes;
    if (this.#waiting === 0) this.#onIdle?.();
    return true;
  }

  #problem(): string {
    return this.#lastFailure ?? this.#watch.problem;
  }
}

import type { ConnectionPool } from '@platformatic/kafka';
import { DaybookError, messageOf } from '../../domain/errors.ts';
import type { Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventCursor } from '../../ports/event-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import { fetchPartitions, type FetchedPartition } from './fetch-request.ts';
import { connectTo, groupByLeader, type KafkaCluster, type TopicMetadata } from './kafka-cluster.ts';
import { closePool } from './kafka-connection.ts';
import { errorCode, errorName, topicMissing, unavailable } from './kafka-errors.ts';
import { RecordBatches } from './record-batches.ts';

/** What a cursor reads from. */
export interface CursorSource {
  readonly topic: string;
  /** For questions about the topic. */
  readonly cluster: KafkaCluster;
  /** For fetching, of this cursor alone: a fetch that waits at the broker holds up what follows it on its connection. */
  readonly pool: ConnectionPool;
  /** The topic that the caller's positions belong to; undefined: whichever is found first. */
  readonly topicId: string | undefined;
  readonly logger: Logger | undefined;
  /** Only these; undefined: all. */
  readonly wanted: ReadonlySet<number> | undefined;
}

const maxWaitMs = 500;
const answerBytes = 4 * 1024 * 1024;
const partitionBytes = 1024 * 1024;
const longestPauseMs = 500;

interface PartitionState {
  readonly partition: number;
  /** The offset after the last record that was handed over. */
  next: number;
  /** The offset after the last record that was there when its leader was asked last. */
  end: number;
  /** Of the last batch that was read, -1 when none. */
  lastEpoch: number;
  /** What was fetched and not handed over yet. */
  batches: RecordBatches | undefined;
  /** Where `batches` begins. */
  fetchedAt: number;
  /** A batch there was corrupt once; when it is so again, it is shown. */
  corruptAt: number;
  fetching: boolean;
  /** Its leader refused it or is away: not asked again before the leaders are known anew. */
  blocked: boolean;
}

/**
 * Walks over all partitions of the topic, without a consumer group. Partitions with records take turns, so that a
 * long one does not hold up the others.
 *
 * Memory: of each leader one answer to Fetch, of at most 4 MiB or one batch, and of each partition one decompressed
 * batch. A leader is asked again when everything of its last answer was handed over: ahead of `next` when it has more,
 * else with `next`, so that what comes while the caller is busy comes as one answer and not record by record.
 *
 * The position moves with what `next` returns and never by itself: not to the beginning and not to the end of a log
 * that has lost it. Every failure leaves it where it is.
 */
export class KafkaEventCursor implements EventCursor {
  readonly #source: CursorSource;
  readonly #from: Positions;
  readonly #onClose: () => void;
  readonly #partitions = new Map<number, PartitionState>();
  /** Those with fetched batches, the one whose turn it is first. */
  readonly #ready: PartitionState[] = [];
  /** Leaders with a fetch under way. */
  readonly #fetching = new Set<number>();
  #metadata: TopicMetadata | undefined;
  #topicId: string | undefined;
  #stale = true;
  #refreshing = false;
  /** Refreshes since the last progress. */
  #failures = 0;
  #lost: DaybookError | undefined;
  #failed: DaybookError | undefined;
  #closed = false;
  #waiting = false;
  #woken = false;
  #notify: (() => void) | undefined;

  /** @param onClose called once, when the cursor is closed */
  constructor(source: CursorSource, from: Positions, onClose: () => void) {
    this.#source = source;
    this.#from = from;
    this.#onClose = onClose;
    this.#topicId = source.topicId;
  }

  async next({ maxRecords, waitMs }: { maxRecords: number; waitMs: number }): Promise<readonly StoredRecord[]> {
    if (this.#closed) throw new DaybookError('stopped', 'The cursor was closed');
    if (this.#waiting) throw new Error('EventCursor.next was called while a former call was waiting');
    this.#waiting = true;
    this.#woken = false;
    try {
      return await this.#nextUntil(performance.now() + waitMs, maxRecords);
    } finally {
      this.#waiting = false;
    }
  }

  positions(): Positions {
    const positions = new Map(this.#from);
    for (const { partition, next } of this.#partitions.values()) positions.set(partition, next);
    return positions;
  }

  wake(): void {
    this.#woken = true;
    this.#notify?.();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#notify?.();
    this.#onClose();
    void closePool(this.#source.pool);
  }

  async #nextUntil(deadlineMs: number, maxRecords: number): Promise<readonly StoredRecord[]> {
    for (;;) {
      if (this.#closed) return [];
      this.#throwFailure();
      const records = this.#take(maxRecords);
      this.#proceed(records.length > 0);
      const leftMs = deadlineMs - performance.now();
      if (records.length > 0 || this.#woken || leftMs <= 0) return records;
      await this.#change(leftMs);
    }
  }

  #throwFailure(): void {
    if (this.#lost) throw this.#lost;
    const failed = this.#failed;
    this.#failed = undefined;
    if (failed) throw failed;
  }

  /** Resolves when something happened: an answer, a failure, a wake, a close, or the end of the time. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#notify?.(), timeoutMs);
      this.#notify = () => {
        clearTimeout(timer);
        this.#notify = undefined;
        resolve();
      };
    });
  }

  /** Takes records of the partitions in turn, each an even share of what is still wanted. */
  #take(max: number): StoredRecord[] {
    const records: StoredRecord[] = [];
    while (records.length < max && this.#ready.length > 0) {
      const share = Math.ceil((max - records.length) / this.#ready.length);
      for (let turns = this.#ready.length; turns > 0 && records.length < max; turns -= 1) {
        const state = this.#ready.shift() as PartitionState;
        if (this.#takeFrom(state, Math.min(share, max - records.length), records)) this.#ready.push(state);
      }
    }
    return records;
  }

  /** Returns false when everything fetched of the partition was handed over. */
  #takeFrom(state: PartitionState, max: number, records: StoredRecord[]): boolean {
    const batches = state.batches as RecordBatches;
    const more = batches.read(max, records);
    state.next = batches.next;
    state.lastEpoch = Math.max(state.lastEpoch, batches.leaderEpoch);
    if (more) return true;
    state.batches = undefined;
    if (state.next > state.fetchedAt) this.#failures = 0;
    if (batches.corrupt) this.#meetCorruptBatch(state, batches.corrupt.reason);
    // A broker sends the first batch whole, so this does not happen; if it did, it would happen without end.
    else if (state.next === state.fetchedAt) this.#block([state]);
    return false;
  }

  /** It may have been damaged on its way: once more it is asked for, then it is shown as it is. */
  #meetCorruptBatch(state: PartitionState, reason: string): void {
    state.corruptAt = state.next;
    const { topic, logger } = this.#source;
    logger?.error({ topic, partition: state.partition, offset: state.next, reason }, 'a batch of the log is corrupt; if it is so again, its records are shown as unreadable');
  }

  #block(states: readonly PartitionState[]): void {
    for (const state of states) state.blocked = true;
    this.#stale = true;
  }

  /**
   * Starts what has to be under way: finding the leaders again, and a fetch at every leader that has none.
   * @param isAhead the caller has records to go on with: only where there are more to come at once
   */
  #proceed(isAhead: boolean): void {
    if (this.#closed || this.#lost) return;
    if (this.#stale && !this.#refreshing) void this.#refresh();
    const { partitions } = this.#metadata ?? { partitions: [] };
    for (const [leader, ofLeader] of groupByLeader(this.#partitions.keys(), partitions)) {
      if (leader < 0 || this.#fetching.has(leader)) continue;
      const states = ofLeader.map((each) => this.#partitions.get(each) as PartitionState);
      if (states.some(({ batches }) => batches)) continue;
      const asked = states.filter(({ blocked, fetching }) => !blocked && !fetching);
      if (isAhead && !asked.some(({ next, end }) => next < end)) continue;
      if (asked.length > 0) void this.#fetch(leader, asked);
    }
  }

  /** Never rejects: what went wrong shows in the partitions. */
  async #fetch(leader: number, asked: readonly PartitionState[]): Promise<void> {
    const { topicId, partitions, brokers } = this.#metadata as TopicMetadata;
    this.#fetching.add(leader);
    for (const state of asked) state.fetching = true;
    const positions = asked.map(({ partition, next, lastEpoch }) => {
      return { partition, offset: next, lastEpoch, leaderEpoch: partitions[partition]?.leaderEpoch ?? -1, maxBytes: partitionBytes };
    });
    try {
      const connection = await connectTo(this.#source.pool, brokers, leader);
      const answer = await fetchPartitions(connection, { topicId, maxWaitMs, maxBytes: answerBytes, partitions: positions });
      if (answer.errorCode !== errorCode.none) throw new Error(errorName(answer.errorCode));
      for (const each of answer.partitions) this.#receive(each);
    } catch (error) {
      this.#source.logger?.debug({ topic: this.#source.topic, leader, reason: messageOf(error) }, 'a fetch failed; the leaders are looked up again');
      this.#block(asked);
    }
    this.#fetching.delete(leader);
    for (const state of asked) state.fetching = false;
    this.#notify?.();
  }

  #receive({ partition, errorCode: code, end, diverging, records }: FetchedPartition): void {
    const state = this.#partitions.get(partition);
    if (!state || this.#closed) return;
    state.end = end;
    if (diverging) this.#lose(`the leader of partition ${partition} does not have the records that were read before offset ${state.next}`);
    else if (code === errorCode.offsetOutOfRange) void this.#confirmRange(state);
    else if (code !== errorCode.none) this.#refuse(state, code);
    else if (records) this.#accept(state, records);
    else this.#failures = 0;
  }

  #accept(state: PartitionState, records: Buffer): void {
    state.fetchedAt = state.next;
    state.batches = new RecordBatches(state.partition, records, state.next, state.corruptAt === state.next);
    this.#ready.push(state);
    // It goes to the end of the next request, behind those that had nothing or no room.
    this.#partitions.delete(state.partition);
    this.#partitions.set(state.partition, state);
  }

  #refuse(state: PartitionState, code: number): void {
    this.#block([state]);
    if (code !== errorCode.topicAuthorizationFailed || !this.#waiting) return;
    this.#failed = unavailable(`Kafka denies reading the topic ${this.#source.topic}: grant this user Read on it`);
  }

  /** A leader that was elected just now may not know its end yet; only the offsets it then names decide. */
  async #confirmRange(state: PartitionState): Promise<void> {
    const { topic, cluster } = this.#source;
    const metadata = this.#metadata as TopicMetadata;
    const { partition, next } = state;
    state.blocked = true;
    try {
      const [first, end] = await Promise.all([cluster.offsets(topic, metadata, [partition], -2), cluster.offsets(topic, metadata, [partition], -1)]);
      const [from, to] = [first.get(partition) ?? 0, end.get(partition) ?? Infinity];
      if (next < from || next > to) this.#lose(`partition ${partition} holds offsets ${from} to ${to}, and the position is ${next}`);
    } catch (error) {
      this.#source.logger?.debug({ topic, partition, reason: messageOf(error) }, 'the range of a partition is not known; it is asked again');
    }
    this.#stale = true;
    this.#notify?.();
  }

  #lose(problem: string): void {
    this.#lost = new DaybookError('history-lost', `History of the topic ${this.#source.topic} was lost: ${problem}. Restore the topic, or remove what was derived from it and read it from its beginning`);
  }

  /** Finds the leaders again, with a growing pause while it does not help. Never rejects. */
  async #refresh(): Promise<void> {
    this.#refreshing = true;
    if (this.#failures > 0) await pause(Math.min(longestPauseMs, 25 * 2 ** Math.min(this.#failures, 6)));
    this.#failures += 1;
    this.#stale = false;
    try {
      if (!this.#closed) this.#adopt(await this.#source.cluster.topic(this.#source.topic));
    } catch (error) {
      this.#stale = true;
      // An error that nobody waits for would reach a later call, when it may be over.
      if (this.#waiting) this.#failed = error instanceof DaybookError ? error : unavailable(messageOf(error), error);
    }
    this.#refreshing = false;
    this.#notify?.();
  }

  #adopt(metadata: TopicMetadata | null): void {
    const { topic } = this.#source;
    if (!metadata) throw topicMissing(topic, this.#topicId);
    this.#topicId ??= metadata.topicId;
    if (metadata.topicId !== this.#topicId) return this.#lose(`the topic was deleted and created anew (its id was ${this.#topicId}, now it is ${metadata.topicId})`);
    this.#metadata = metadata;
    metadata.partitions.forEach(({ leader }, partition) => {
      if (this.#source.wanted && !this.#source.wanted.has(partition)) return;
      const known = this.#partitions.get(partition);
      if (known) known.blocked = false;
      else this.#partitions.set(partition, startOf(partition, this.#from.get(partition) ?? 0));
      if (leader < 0) this.#stale = true;
    });
    const gone = [...this.#from].find(([partition, offset]) => offset > 0 && partition >= metadata.partitions.length);
    if (gone) this.#lose(`it has ${metadata.partitions.length} partitions, and a position names partition ${gone[0]}`);
  }
}

function startOf(partition: number, next: number): PartitionState {
  return { partition, next, end: next, lastEpoch: -1, batches: undefined, fetchedAt: next, corruptAt: -1, fetching: false, blocked: false };
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

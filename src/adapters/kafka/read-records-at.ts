import type { LogPosition, StoredRecord } from '../../domain/log-record.ts';
import { fetchPartitions, type FetchedPartition, type FetchedPosition } from './fetch-request.ts';
import { groupByLeader, type KafkaCluster, type TopicMetadata } from './kafka-cluster.ts';
import { errorCode, errorName } from './kafka-errors.ts';
import { RecordBatches } from './record-batches.ts';

const answerBytes = 4 * 1024 * 1024;
const denseBytes = 1024 * 1024;
const sparseBytes = 16 * 1024;
const requestsAtOnce = 8;

/**
 * Reads single records by their address, in rounds. A round asks each leader at most eight times; every request
 * serves one position of each of the leader's partitions, and with it whatever else is wanted and lies in the answer.
 */
export class RecordsAt {
  readonly #cluster: KafkaCluster;
  readonly #topic: string;
  /** For each partition the offsets not decided yet, growing. */
  readonly #open = new Map<number, number[]>();
  readonly #found = new Map<string, StoredRecord>();
  #bounded = false;

  constructor(cluster: KafkaCluster, topic: string, positions: readonly LogPosition[]) {
    this.#cluster = cluster;
    this.#topic = topic;
    const wanted = new Map<number, Set<number>>();
    for (const { partition, offset } of positions) {
      if (!Number.isSafeInteger(offset) || offset < 0) continue;
      const offsets = wanted.get(partition) ?? new Set();
      wanted.set(partition, offsets.add(offset));
    }
    for (const [partition, offsets] of wanted) this.#open.set(partition, [...offsets].toSorted((a, b) => a - b));
  }

  /** How many positions are not decided yet. */
  get left(): number {
    let left = 0;
    for (const offsets of this.#open.values()) left += offsets.length;
    return left;
  }

  found({ partition, offset }: LogPosition): StoredRecord | null {
    return this.#found.get(keyOf(partition, offset)) ?? null;
  }

  /** Decides what one round of requests can decide. Rejects when a leader failed; what was found stays. */
  async proceed(metadata: TopicMetadata): Promise<void> {
    await this.#forgetBeyondEnd(metadata);
    const asked = [...groupByLeader(this.#open.keys(), metadata.partitions)].flatMap(([leader, partitions]) => {
      return this.#requests(partitions).map((positions) => this.#ask(metadata, leader, positions));
    });
    const failed = (await Promise.allSettled(asked)).find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /**
   * What lies behind the end is not there. Below it every record comes in the end: after a change of leadership a
   * leader may answer nothing for a moment, and that must not pass for an empty place.
   */
  async #forgetBeyondEnd(metadata: TopicMetadata): Promise<void> {
    if (this.#bounded) return;
    for (const partition of this.#open.keys()) if (!metadata.partitions[partition]) this.#open.delete(partition);
    for (const [partition, end] of await this.#cluster.offsets(this.#topic, metadata, this.#open.keys(), -1)) {
      this.#keep(partition, (offset) => offset < end);
    }
    this.#bounded = true;
  }

  /** Spreads the positions: those that lie apart are asked for at once, those between two come with the former. */
  #requests(partitions: readonly number[]): FetchedPosition[][] {
    const requests: FetchedPosition[][] = [];
    for (const partition of partitions) {
      const offsets = this.#open.get(partition) ?? [];
      const count = Math.min(requestsAtOnce, offsets.length);
      for (let index = 0; index < count; index += 1) {
        const offset = offsets[Math.floor((index * offsets.length) / count)] ?? 0;
        (requests[index] ??= []).push({ partition, offset, leaderEpoch: -1, lastEpoch: -1, maxBytes: bytesFor(offsets) });
      }
    }
    return requests;
  }

  async #ask(metadata: TopicMetadata, leader: number, positions: readonly FetchedPosition[]): Promise<void> {
    const connection = await this.#cluster.connect(metadata, leader);
    const answer = await fetchPartitions(connection, { topicId: metadata.topicId, maxWaitMs: 0, maxBytes: answerBytes, partitions: positions });
    if (answer.errorCode !== errorCode.none) throw new Error(errorName(answer.errorCode));
    const asked = new Map(positions.map(({ partition, offset }) => [partition, offset]));
    for (const each of answer.partitions) this.#receive(each, asked.get(each.partition) ?? 0);
  }

  #receive({ partition, errorCode: code, records }: FetchedPartition, asked: number): void {
    // Below the end, so it is below the beginning: it was deleted.
    if (code === errorCode.offsetOutOfRange) this.#keep(partition, (offset) => offset !== asked);
    else if (code !== errorCode.none) throw new Error(errorName(code));
    else if (records) this.#search(partition, asked, new RecordBatches(partition, records, asked, true));
  }

  #search(partition: number, asked: number, batches: RecordBatches): void {
    const wanted = new Set((this.#open.get(partition) ?? []).filter((offset) => offset >= asked));
    const records: StoredRecord[] = [];
    let decided = asked;
    for (const offset of wanted) {
      if (offset < decided) continue;
      batches.skipTo(offset);
      batches.read(1, records);
      // A later one than asked for: between the two there is nothing.
      const record = records.pop();
      if (record && wanted.has(record.offset)) this.#found.set(keyOf(partition, record.offset), copyOf(record));
      if (!record && batches.end <= offset) break;
      decided = Math.max(record?.offset ?? 0, offset) + 1;
    }
    this.#keep(partition, (offset) => offset < asked || offset >= decided);
  }

  #keep(partition: number, isOpen: (offset: number) => boolean): void {
    const offsets = (this.#open.get(partition) ?? []).filter(isOpen);
    if (offsets.length > 0) this.#open.set(partition, offsets);
    else this.#open.delete(partition);
  }
}

/** Offsets that lie close to each other come in one large answer; for lone ones the batch that holds them suffices. */
function bytesFor(offsets: readonly number[]): number {
  const span = (offsets.at(-1) ?? 0) - (offsets[0] ?? 0) + 1;
  return offsets.length > 1 && span <= offsets.length * 100 ? denseBytes : sparseBytes;
}

/** So that a record does not hold the whole answer in memory. */
function copyOf(record: StoredRecord): StoredRecord {
  return { ...record, value: new Uint8Array(record.value) };
}

function keyOf(partition: number, offset: number): string {
  return `${partition}:${offset}`;
}

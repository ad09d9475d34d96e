import type { AppendedRecord } from '../../ports/event-appender.ts';
import type { ProducedMessage } from './kafka-producer.ts';

/** A record on its way into the log, and the caller who waits for it. */
export interface WaitingRecord {
  readonly key: string;
  readonly message: ProducedMessage;
  readonly bytes: number;
  readonly queuedMs: number;
  readonly resolve: (appended: AppendedRecord) => void;
  readonly reject: (error: Error) => void;
  settled: boolean;
}

export interface BatchLimits {
  /** Records in one send. */
  readonly maxRecords: number;
  /** Bytes of one partition in one send, before compression: brokers limit the batch, not the record. */
  readonly maxPartitionBytes: number;
}

/**
 * Records that wait to be sent, in the order of their calls within each partition. What was sent in vain goes back to
 * the head, so that order holds.
 */
export class AppendQueue {
  readonly #limits: BatchLimits;
  readonly #partitions: WaitingRecord[][];
  /** Of a partition whose batch was too large for the broker. */
  readonly #maxRecords = new Map<number, number>();

  constructor(partitions: number, limits: BatchLimits) {
    this.#limits = limits;
    this.#partitions = Array.from({ length: partitions }, () => []);
  }

  add(record: WaitingRecord): void {
    this.#of(record.message.partition).push(record);
  }

  /** The partitions that have records waiting. */
  waiting(): number[] {
    return [...this.#partitions.keys()].filter((partition) => this.#of(partition).length > 0);
  }

  /** Takes a batch from the partitions. A record alone may be larger than the limit. */
  take(partitions: readonly number[]): Map<number, WaitingRecord[]> {
    const batch = new Map<number, WaitingRecord[]>();
    let left = this.#limits.maxRecords;
    for (const partition of partitions) {
      const taken = this.#of(partition).splice(0, this.#count(partition, left)).filter(({ settled }) => !settled);
      if (taken.length > 0) batch.set(partition, taken);
      left -= taken.length;
    }
    return batch;
  }

  putBack(partition: number, records: readonly WaitingRecord[]): void {
    this.#of(partition).unshift(...records);
  }

  /** From now on sends at most half as many records of the partition at once. */
  halve(partition: number, records: number): void {
    this.#maxRecords.set(partition, Math.max(1, records >> 1));
  }

  /** Removes and returns what was queued before that time. */
  takeOlderThan(queuedMs: number): WaitingRecord[] {
    return this.#partitions.flatMap((records) => {
      const young = records.findIndex((record) => record.queuedMs >= queuedMs);
      return records.splice(0, young < 0 ? records.length : young);
    });
  }

  #count(partition: number, left: number): number {
    const max = Math.min(left, this.#maxRecords.get(partition) ?? Infinity);
    const records = this.#of(partition);
    let bytes = 0;
    let count = 0;
    while (count < max && count < records.length) {
      bytes += records[count]?.bytes ?? 0;
      if (count > 0 && bytes > this.#limits.maxPartitionBytes) break;
      count += 1;
    }
    return count;
  }

  #of(partition: number): WaitingRecord[] {
    return this.#partitions[partition] as WaitingRecord[];
  }
}

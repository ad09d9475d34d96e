import type { Positions, StoredRecord } from '../../domain/log-record.ts';
import { partitionOf } from '../../domain/partition-of.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import { readModelBehind } from '../query-problem.ts';

const mostRecords = 50_000;
const mostMs = 2_000;
const recordsPerRead = 2_000;
/** Questions that may look ahead at the same time; each holds one read of the log in memory. */
const mostAtOnce = 32;

/** Records of one task between a position and the end of the log. */
export interface Ahead {
  readonly records: readonly StoredRecord[];
  /** Up to here the partition of the task was read. */
  readonly positions: Positions;
}

/**
 * Finds what the read model has not seen yet. An id whose acceptance was confirmed before the question came is in the
 * read model or between its position and the end of the log as of now, so that "not found" is never said too early.
 * Bounded in records, time and questions at once.
 */
export class LookAhead {
  readonly #reader: EventReader;
  readonly #clock: Clock;
  #running = 0;

  constructor(reader: EventReader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  /** @throws QueryProblem 503 `read-model-behind`: more than the bounds allow stands between */
  async recordsOf(taskId: string, from: Positions): Promise<Ahead> {
    const end = await this.#reader.endPositions();
    const partition = partitionOf(taskId, Math.max(1, end.size));
    const endOffset = end.get(partition) ?? 0;
    const behind = endOffset - (from.get(partition) ?? 0);
    const positions = new Map(from).set(partition, Math.max(endOffset, from.get(partition) ?? 0));
    if (behind <= 0) return { records: [], positions: from };
    if (behind > mostRecords || this.#running >= mostAtOnce) throw tooFarBehind(behind);
    this.#running++;
    try {
      return { records: await this.#read(taskId, partition, endOffset, new Map(end).set(partition, from.get(partition) ?? 0)), positions };
    } finally {
      this.#running--;
    }
  }

  /** @param start the task's partition where the model stands; the others at their end, so that they are not read */
  async #read(taskId: string, partition: number, endOffset: number, start: Positions): Promise<StoredRecord[]> {
    const deadlineMs = this.#clock.monotonicMs() + mostMs;
    const cursor = this.#reader.openCursor(start);
    const found: StoredRecord[] = [];
    try {
      while ((cursor.positions().get(partition) ?? 0) < endOffset) {
        const waitMs = deadlineMs - this.#clock.monotonicMs();
        if (waitMs <= 0) throw tooFarBehind(endOffset - (start.get(partition) ?? 0));
        const records = await cursor.next({ maxRecords: recordsPerRead, waitMs });
        found.push(...records.filter((record) => record.key === taskId && record.partition === partition && record.offset < endOffset));
      }
    } finally {
      cursor.close();
    }
    return found;
  }
}

function tooFarBehind(records: number): Error {
  return readModelBehind(`The read model is ${records} records behind the log, too many to look through for one answer. Ask again shortly.`);
}

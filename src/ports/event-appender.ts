import type { LogPosition, LogRecord } from '../domain/log-record.ts';

/**
 * Writes to the log. The only way to make history.
 *
 * Durability: `append` resolves after the record is on disk (embedded: fsync; Kafka: every in-sync replica).
 * Order: records of one key are stored in the order of their `append` calls, when each call was made after the
 * former one *settled*. Unsettled calls of one key may land in either order.
 * Duplicates: a record whose append failed as unknown may be in the log. Appending it again may store it twice;
 * readers recognise the copy by its event id.
 */
export interface EventAppender {
  /** The topic's name, as it stands in receipts. */
  readonly topic: string;

  /**
   * Stores one record.
   * @throws DaybookError `log-unavailable`: within the deadline the log did not confirm it. It may be stored, now or
   *   shortly; appending the same record again is safe. Also at once when the buffer is full.
   * @throws DaybookError `log-rejected`: the log will never take this record (it is too large). Nothing was stored.
   * @throws DaybookError `stopped`: the appender was closed. Nothing was stored.
   */
  append(record: LogRecord): Promise<AppendedRecord>;
}

export interface AppendedRecord extends LogPosition {
  /** By the log's clock, epoch milliseconds. */
  readonly timestampMs: number;
}

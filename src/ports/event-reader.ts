import type { LogPosition, Positions, StoredRecord } from '../domain/log-record.ts';

/**
 * Reads the log, from positions that the caller keeps itself. Readers know nothing of each other.
 *
 * Order: the records of a partition come in the order of their offsets, without a gap, each exactly once per cursor.
 * Only durable records are seen: what a reader saw survives a crash.
 */
export interface EventReader {
  readonly topic: string;

  /**
   * Identifies this very log. A log that was deleted and made anew has another identity, and positions of the one
   * mean nothing in the other.
   * @throws DaybookError `log-unavailable`
   */
  identity(): Promise<string>;

  /**
   * For each partition the offset that the next record will get, as of now.
   * @throws DaybookError `log-unavailable`
   * @throws DaybookError `history-lost`: the log is another one than `identity` said last
   */
  endPositions(): Promise<Positions>;

  /**
   * Starts reading at the given positions; a partition that they do not name is read from its beginning.
   * Nothing is read ahead of `next` beyond one batch, so a slow caller bounds memory by itself.
   * @param partitions only these; default all
   */
  openCursor(from: Positions, partitions?: ReadonlySet<number>): EventCursor;

  /**
   * Reads single records by their address, in the order asked for; null where there is none.
   * @throws DaybookError `log-unavailable`
   */
  readAt(positions: readonly LogPosition[]): Promise<ReadonlyArray<StoredRecord | null>>;
}

export interface EventCursor {
  /**
   * The next records, at most `maxRecords`; an empty list when none came within `waitMs` or `wake` was called.
   * One call at a time.
   * @throws DaybookError `log-unavailable`: nothing was skipped, call again
   * @throws DaybookError `history-lost`: the log ends before the position, or is another log than at the start
   * @throws DaybookError `stopped` after `close`
   */
  next(options: { readonly maxRecords: number; readonly waitMs: number }): Promise<readonly StoredRecord[]>;

  /** The positions after the last batch. */
  positions(): Positions;

  /** Ends a waiting `next` early, with what there is. */
  wake(): void;

  /** Idempotent. A waiting `next` ends with an empty list. */
  close(): void;
}

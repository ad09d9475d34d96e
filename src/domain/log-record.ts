/** A record as it is written: one entry of the topic, without its position. */
export interface LogRecord {
  /** The task id; decides the partition. */
  readonly key: string;
  /** Header names and values in written order, each name once, UTF-8. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  /** The event's data: canonical JSON, UTF-8. */
  readonly value: Uint8Array;
}

/** Where a record stands: its address for ever. Offsets grow by one within a partition of the embedded log. */
export interface LogPosition {
  readonly partition: number;
  readonly offset: number;
}

/** A record as it is read. Foreign writers may have left anything, so nothing of it is trusted before decoding. */
export interface StoredRecord extends LogPosition {
  /** When the log appended it, epoch milliseconds by the log's clock. */
  readonly timestampMs: number;
  readonly key: string | null;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly value: Uint8Array;
}

/** For each partition the offset that is to be read next. */
export type Positions = ReadonlyMap<number, number>;

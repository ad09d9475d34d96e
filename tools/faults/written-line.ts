/** What the writer notes about the end of one `append`, as one line of JSON. */
export interface WrittenLine {
  /**
   * `unknown`: not confirmed within the deadline, so it is in the log or not; the writer appends it again.
   * `rejected`: refused for good, so it is not in the log.
   */
  readonly end: 'acknowledged' | 'unknown' | 'rejected';
  /** `key/sequence`; the record's header `ce_id` holds it too. */
  readonly event: string;
  /** Of the value's bytes, lower-case hex. */
  readonly sha256: string;
  /** When the writer heard of it, epoch milliseconds. */
  readonly atMs: number;
  /** Of an acknowledged record. */
  readonly partition?: number;
  readonly offset?: number;
  /** Why another was not acknowledged. */
  readonly problem?: string;
}

export function keyOf(event: string): string {
  return event.slice(0, event.lastIndexOf('/'));
}

/** Counts the events of one key, from 1. */
export function sequenceOf(event: string): number {
  return Number(event.slice(event.lastIndexOf('/') + 1));
}

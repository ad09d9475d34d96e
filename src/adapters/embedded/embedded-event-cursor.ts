import { DaybookError } from '../../domain/errors.ts';
import type { Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventCursor } from '../../ports/event-reader.ts';

/** Where a cursor takes records from: the writing process's memory and file, or the file alone. */
export interface LogSource {
  /** At most `max` records from `from` on; throws as `EventCursor.next` does. */
  read(from: number, max: number): StoredRecord[];
  /** Calls back when there may be more to read than up to `end`; must not throw. The returned function stops it. */
  onChange(end: number, listener: () => void): () => void;
}

/** For a cursor that was asked for none of the log's partitions: it waits until it is closed. */
export const nothingToRead: LogSource = { read: () => [], onChange: () => () => {} };

/** Walks over the one partition of the embedded log. */
export class EmbeddedEventCursor implements EventCursor {
  readonly #source: LogSource;
  #next: number;
  #closed = false;
  #endWait: (() => void) | undefined;

  constructor(source: LogSource, from: Positions) {
    this.#source = source;
    this.#next = from.get(0) ?? 0;
  }

  async next({ maxRecords, waitMs }: { maxRecords: number; waitMs: number }): Promise<readonly StoredRecord[]> {
    if (this.#closed) throw new DaybookError('stopped', 'The cursor was closed');
    if (this.#endWait) throw new Error('EventCursor.next was called while a former call was waiting');
    const records = this.#read(maxRecords);
    if (records.length > 0 || waitMs <= 0) return records;
    await this.#change(waitMs);
    return this.#closed ? [] : this.#read(maxRecords);
  }

  positions(): Positions {
    return new Map([[0, this.#next]]);
  }

  wake(): void {
    this.#endWait?.();
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }

  #read(maxRecords: number): StoredRecord[] {
    const records = this.#source.read(this.#next, maxRecords);
    this.#next += records.length;
    return records;
  }

  #change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        stopListening();
        this.#endWait = undefined;
        resolve();
      };
      const timer = setTimeout(end, waitMs);
      const stopListening = this.#source.onChange(this.#next, end);
      this.#endWait = end;
    });
  }
}

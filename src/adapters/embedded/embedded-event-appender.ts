import { DaybookError } from '../../domain/errors.ts';
import type { LogRecord } from '../../domain/log-record.ts';
import type { AppendedRecord, EventAppender } from '../../ports/event-appender.ts';
import type { EmbeddedStore } from './embedded-store.ts';
import { CommitError } from './group-commit.ts';
import { encodeRecord, maxRecordBytes } from './log-rows.ts';

export interface EmbeddedEventAppenderOptions {
  /** The largest record, key and headers included, default 1 MiB. A larger one is `log-rejected`. */
  readonly maxRecordBytes?: number;
}

/**
 * Appends to the log in the data folder. Calls are stored in the order they were made, also those of one key that
 * were not awaited; this is more than the port promises.
 *
 * Deadline: a call that waited longer than the store's `maxWaitMs` is refused unrun. A commit that has begun is
 * waited for, since only its end tells the truth: a disk that stalls inside fsync delays the answer by that stall.
 */
export class EmbeddedEventAppender implements EventAppender {
  readonly topic: string;
  readonly #store: EmbeddedStore;
  readonly #maxRecordBytes: number;

  constructor(store: EmbeddedStore, options: EmbeddedEventAppenderOptions = {}) {
    this.topic = store.topic;
    this.#store = store;
    this.#maxRecordBytes = options.maxRecordBytes ?? 1024 * 1024;
  }

  async append(record: LogRecord): Promise<AppendedRecord> {
    const bytes = maxRecordBytes(record);
    if (bytes > this.#maxRecordBytes) this.#requireFit(record);
    const { log, commits } = this.#store;
    try {
      const { partition, offset, timestampMs } = await commits.run(() => log.add(record), bytes);
      return { partition, offset, timestampMs };
    } catch (error) {
      throw appendError(error);
    }
  }

  /** The quick measure is too high for most records, so a record is refused by its true length only. */
  #requireFit(record: LogRecord): void {
    const bytes = encodeRecord(record).length;
    if (bytes <= this.#maxRecordBytes) return;
    throw new DaybookError('log-rejected', `The record of task ${record.key} takes ${bytes} bytes; the log takes at most ${this.#maxRecordBytes} a record. Make its value smaller`);
  }
}

function appendError(cause: unknown): DaybookError {
  if (cause instanceof CommitError && cause.reason === 'closed') return new DaybookError('stopped', 'The log was closed', { cause });
  return new DaybookError('log-unavailable', `The log did not confirm the record: ${String(cause)}`, { cause });
}

import { statSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { DaybookError } from '../../domain/errors.ts';
import type { StoredRecord } from '../../domain/log-record.ts';
import { logPath, readMeta, requireFormat } from './embedded-schema.ts';
import { decodeRow, type LogRow } from './log-rows.ts';
import { openDatabase } from './sqlite-database.ts';

/**
 * Reads the log's file over a read-only connection of its own, beside whoever writes it, in any process or thread.
 * Sees committed rows only.
 */
export class LogFile {
  readonly identity: string;
  readonly #path: string;
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #selectEnd: StatementSync;
  readonly #selectRows: StatementSync;
  /** The row decoded last: a cursor with small batches comes back to it. */
  #decoded: { readonly first: number; readonly records: readonly StoredRecord[] } = { first: -1, records: [] };

  /**
   * @throws DaybookError `log-unavailable`: there is no readable log in the folder
   * @throws DaybookError `configuration-invalid`: it has another format
   */
  constructor(folder: string) {
    this.#path = logPath(folder);
    this.#database = available(`There is no readable log in ${folder}`, () => openDatabase(this.#path, { readOnly: true }));
    try {
      available(`The log in ${folder} cannot be read`, () => requireFormat(this.#database, folder));
      this.identity = readMeta(this.#database, 'identity') ?? '';
      this.#file = fileIdentity(this.#path);
      this.#selectEnd = this.#database.prepare('SELECT first + n AS end FROM log ORDER BY first DESC LIMIT 1');
      this.#selectRows = this.#database.prepare(
        'SELECT first, n, timestamp, data FROM log WHERE first >= (SELECT max(first) FROM log WHERE first <= ?) ORDER BY first',
      );
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** @throws DaybookError `log-unavailable` */
  end(): number {
    return available('The log cannot be read', () => Number(this.#selectEnd.get()?.['end'] ?? 0));
  }

  /**
   * Records from `from` on, at most `max`; empty at the log's end.
   * @throws DaybookError `log-unavailable`
   * @throws DaybookError `history-lost`: the log ends before `from`, or rows are missing
   */
  read(from: number, max: number): StoredRecord[] {
    return available('The log cannot be read', () => {
      const found: StoredRecord[] = this.#fromDecoded(from, max);
      if (found.length > 0) return found;
      // The end before the rows: what is committed between the two questions may be found, and is never missed.
      const end = this.end();
      for (const row of this.#selectRows.iterate(from) as Iterable<unknown> as Iterable<LogRow>) {
        const next = from + found.length;
        if (row.first > next || row.first + row.n <= next) break;
        this.#decoded = { first: row.first, records: decodeRow(row) };
        for (const record of this.#fromDecoded(next, max - found.length)) found.push(record);
        if (found.length >= max) return found;
      }
      if (found.length === 0 && from !== end) throw this.#lost(from);
      return found;
    });
  }

  /** @throws DaybookError `history-lost` when the file was put in place of the one that was opened, or is gone */
  requireSameFile(): void {
    if (fileIdentity(this.#path) === this.#file) return;
    throw new DaybookError('history-lost', `${this.#path} is not the file any more that was opened: positions in the former log mean nothing here`);
  }

  /** Idempotent. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #fromDecoded(from: number, max: number): StoredRecord[] {
    const { first, records } = this.#decoded;
    return from < first ? [] : records.slice(from - first, from - first + max);
  }

  #lost(from: number): DaybookError {
    const end = this.end();
    const what = from > end ? `it ends at ${end}` : 'rows are missing there';
    return new DaybookError('history-lost', `The log ${this.#path} has no record at offset ${from}: ${what}`);
  }
}

/** Tells a file from another that took its name. */
function fileIdentity(path: string): string {
  const file = statSync(path, { throwIfNoEntry: false });
  return file ? `${file.dev}:${file.ino}:${file.birthtimeMs}` : 'missing';
}

function available<Result>(message: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof DaybookError) throw cause;
    throw new DaybookError('log-unavailable', `${message}: ${String(cause)}`, { cause });
  }
}

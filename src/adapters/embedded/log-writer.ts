import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { LogRecord, StoredRecord } from '../../domain/log-record.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CommitParticipant } from './group-commit.ts';
import { LogRowBuilder } from './log-rows.ts';
import type { LogTail } from './log-tail.ts';

/** Packs the records of one transaction into one row of the log, and shows them to readers once it is committed. */
export class LogWriter implements CommitParticipant {
  readonly #clock: Clock;
  readonly #tail: LogTail;
  readonly #insert: StatementSync;
  readonly #selectEnd: StatementSync;
  readonly #row = new LogRowBuilder();
  #pending: StoredRecord[] = [];
  #timestampMs = 0;
  /** Where the next row begins; null after a failure, to be read from the file again. */
  #end: number | null;

  constructor(database: DatabaseSync, clock: Clock, tail: LogTail) {
    this.#clock = clock;
    this.#tail = tail;
    this.#insert = database.prepare('INSERT INTO log (first, n, timestamp, data) VALUES (?, ?, ?, ?)');
    this.#selectEnd = database.prepare('SELECT first + n AS end FROM log ORDER BY first DESC LIMIT 1');
    this.#end = this.#readEnd();
    tail.startAt(this.#end);
  }

  /** Adds a record to the running transaction. Returns it as readers will see it. Only for operations of the group commit. */
  add(record: LogRecord): StoredRecord {
    this.#row.add(record);
    const offset = (this.#end ?? 0) + this.#pending.length;
    const { key, headers, value } = record;
    const stored = { partition: 0, offset, timestampMs: this.#timestampMs, key, headers, value };
    this.#pending.push(stored);
    return stored;
  }

  begin(): void {
    this.#end ??= this.#readEnd();
    this.#pending = [];
    this.#row.clear();
    this.#timestampMs = this.#clock.nowMs();
  }

  beforeCommit(): void {
    if (this.#pending.length === 0) return;
    this.#insert.run(this.#end, this.#pending.length, this.#timestampMs, this.#row.data());
  }

  committed(): void {
    if (this.#pending.length === 0) return;
    this.#tail.push(this.#pending, this.#row.data().length);
    this.#end = this.#tail.end;
  }

  rolledBack(): void {
    this.#end = null;
  }

  #readEnd(): number {
    return Number(this.#selectEnd.get()?.['end'] ?? 0);
  }
}

import { DatabaseSync } from 'node:sqlite';

export interface DatabaseOptions {
  readonly readOnly?: boolean;
  /** How long a statement waits for another connection's lock, default 1,000 ms; 0 fails at once. */
  readonly busyTimeoutMs?: number;
}

/** The one place that opens SQLite files. */
export function openDatabase(path: string, { readOnly = false, busyTimeoutMs = 1_000 }: DatabaseOptions = {}): DatabaseSync {
  return new DatabaseSync(path, { readOnly, timeout: busyTimeoutMs });
}

/**
 * Whether SQLite could not work at all: the disk is full, failing, locked, unreadable. The alternative is that it
 * refused one statement, whose neighbours may well succeed.
 */
export function isStorageFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return false;
  // The low byte of an extended result code is the primary one.
  return storageFailures.has(error.errcode & 0xff);
}

export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 5;
}

/** Primary result codes (sqlite.org/rescode.html). */
const storageFailures = new Set([
  5, // BUSY
  6, // LOCKED
  7, // NOMEM
  8, // READONLY
  9, // INTERRUPT
  10, // IOERR
  11, // CORRUPT
  13, // FULL
  14, // CANTOPEN
  15, // PROTOCOL
  26, // NOTADB
]);

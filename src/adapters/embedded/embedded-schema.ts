import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { DaybookError } from '../../domain/errors.ts';

const formatVersion = '1';

// Pages of 8 KiB: a commit of many records is a long row, and fewer pages are fewer writes. 2,000 pages, 16 MB of WAL,
// between checkpoints measured best. The WAL is written over again and never truncated, because appending to a file
// costs more than overwriting it. The cache (16 MB) holds the indexes of jobs and claims.
const pragmas = `
  PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 2000; PRAGMA cache_size = -16000`;

const schema = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  -- One row per commit: the records first .. first + n - 1. Offsets start at 0 and have no gap.
  CREATE TABLE IF NOT EXISTS log (
    first INTEGER PRIMARY KEY, n INTEGER NOT NULL, timestamp INTEGER NOT NULL, data BLOB NOT NULL) STRICT;

  CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, queue TEXT NOT NULL,
    task_id TEXT NOT NULL, attempt INTEGER NOT NULL, issue INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS jobs_once ON jobs (task_id, attempt, issue);
  CREATE TABLE IF NOT EXISTS parked_jobs (
    id INTEGER PRIMARY KEY, queue TEXT NOT NULL, body TEXT NOT NULL, parked_ms INTEGER NOT NULL) STRICT;

  CREATE TABLE IF NOT EXISTS claims (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, attempt INTEGER NOT NULL,
    execution_id TEXT, worker_id TEXT NOT NULL,
    lease_epoch INTEGER NOT NULL, lease_end_ms INTEGER NOT NULL, deaths INTEGER NOT NULL, touched_ms INTEGER NOT NULL,
    completed INTEGER, event_id TEXT, record BLOB) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS claims_by_attempt ON claims (task_id, attempt);
  CREATE UNIQUE INDEX IF NOT EXISTS claims_one_completion ON claims (task_id) WHERE completed = 1;
`;

export function logPath(folder: string): string {
  return join(folder, 'log.db');
}

/** Makes what is missing, and opens a new epoch. */
export function prepareLog(database: DatabaseSync, folder: string): { identity: string; epoch: number } {
  database.exec(pragmas);
  database.exec('BEGIN IMMEDIATE');
  database.exec(schema);
  const addMeta = database.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING');
  addMeta.run('format', formatVersion);
  addMeta.run('identity', randomUUID());
  addMeta.run('epoch', '0');
  database.exec("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'epoch'");
  requireFormat(database, folder);
  const meta = { identity: readMeta(database, 'identity') ?? '', epoch: Number(readMeta(database, 'epoch')) };
  database.exec('COMMIT');
  return meta;
}

/** @throws DaybookError `configuration-invalid` */
export function requireFormat(database: DatabaseSync, folder: string): void {
  const format = readMeta(database, 'format');
  if (format === formatVersion) return;
  throw new DaybookError('configuration-invalid', `The log in ${folder} has format ${String(format)}; this Daybook reads format ${formatVersion}. Use the version that wrote it`);
}

export function readMeta(database: DatabaseSync, name: string): string | undefined {
  const row = database.prepare('SELECT value FROM meta WHERE name = ?').get(name);
  return row && String(row['value']);
}

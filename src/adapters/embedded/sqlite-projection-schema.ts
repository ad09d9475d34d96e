import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { DaybookError } from '../../domain/errors.ts';
import type { Positions } from '../../domain/log-record.ts';
import { rowVersion, type Generation } from '../../ports/projection-store.ts';

/** The file of the read model within the data folder. It may be deleted while nothing runs: it is derived. */
export const projectionFile = 'views.db';

/** Raise it when a table below changes. Generations of another version are dropped and derived again. */
const schemaVersion = 2;
export const generationVersion = `${schemaVersion}.${rowVersion}`;

export const projectionTables = ['tasks', 'attempts', 'tags', 'quarantine', 'positions', 'meta'] as const;
export type ProjectionTable = (typeof projectionTables)[number];

/** A generation is told by the names of its tables, so that a swap is a renaming. */
export function tableOf(generation: Generation, table: ProjectionTable): string {
  return generation === 'live' ? table : `rebuild_${table}`;
}

/** What a digest covers, in its order. */
export const digestedTables = [
  { table: 'tasks', key: 'task_id', columns: ['task_id', 'accepted_ms', 'phase', 'type', 'batch', 'attempts', 'row'] },
  { table: 'attempts', key: 'task_id, place', columns: ['task_id', 'place', 'attempt', 'execution_id', 'worker_id', 'outcome', 'fingerprint', 'error_code', 'error_name'] },
  { table: 'tags', key: 'task_id, name', columns: ['task_id', 'name', 'value'] },
  { table: 'quarantine', key: 'partition, offset', columns: ['partition', 'offset', 'detail'] },
] as const;

export function createGeneration(database: DatabaseSync, generation: Generation): void {
  const name = (table: ProjectionTable) => tableOf(generation, table);
  // Index names stay when a table is renamed, so they need to be new each time. Each change of the schema moves this number.
  const serial = Number(database.prepare('PRAGMA schema_version').get()?.schema_version);
  database.exec(`
    CREATE TABLE ${name('tasks')} (
      task_id TEXT PRIMARY KEY,
      accepted_ms INTEGER,          -- or rejected; NULL while only stray events are known
      phase TEXT,
      type TEXT,
      batch TEXT,
      attempts INTEGER NOT NULL,    -- the newest one that was handed out
      row TEXT NOT NULL             -- the whole TaskRow as JSON; the other columns serve the filters
    );
    CREATE TABLE ${name('attempts')} (
      task_id TEXT NOT NULL,
      place INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      execution_id TEXT,            -- NULL: failed without a start
      worker_id TEXT,
      outcome TEXT,
      fingerprint TEXT,             -- of the error that it failed with, as are the next two
      error_code TEXT,
      error_name TEXT,
      PRIMARY KEY (task_id, place)
    ) WITHOUT ROWID;
    CREATE TABLE ${name('tags')} (task_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (task_id, name)) WITHOUT ROWID;
    CREATE TABLE ${name('quarantine')} (
      partition INTEGER NOT NULL, offset INTEGER NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (partition, offset)
    ) WITHOUT ROWID;
    CREATE TABLE ${name('positions')} (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
    CREATE TABLE ${name('meta')} (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX tasks_by_acceptance_${serial} ON ${name('tasks')} (accepted_ms, task_id);
    CREATE INDEX tasks_by_type_${serial} ON ${name('tasks')} (type, accepted_ms, task_id);
    -- Most tasks are completed, and most are so within their first batch: the index stays small.
    CREATE INDEX tasks_by_phase_${serial} ON ${name('tasks')} (phase, accepted_ms, task_id) WHERE phase <> 'completed';
    CREATE INDEX tasks_by_batch_${serial} ON ${name('tasks')} (batch, accepted_ms, task_id) WHERE batch IS NOT NULL;
    CREATE INDEX attempts_by_error_${serial} ON ${name('attempts')} (fingerprint) WHERE fingerprint IS NOT NULL;
    CREATE INDEX tags_by_value_${serial} ON ${name('tags')} (name, value);
  `);
}

export function dropGeneration(database: DatabaseSync, generation: Generation): void {
  for (const table of projectionTables) database.exec(`DROP TABLE IF EXISTS ${tableOf(generation, table)}`);
}

/** How many of a generation's tables there are. */
export function countTables(database: DatabaseSync, generation: Generation): number {
  const names = projectionTables.map((table) => `'${tableOf(generation, table)}'`).join(', ');
  return Number(database.prepare(`SELECT count(*) AS found FROM sqlite_master WHERE type = 'table' AND name IN (${names})`).get()?.found);
}

/** @param statement selects `partition` and `next_offset` */
export function readPositions(statement: StatementSync): Positions {
  return new Map(statement.all().map((row) => [Number(row.partition), Number(row.next_offset)]));
}

/** What a failed call on the database means to the callers of the ports. Other errors pass unchanged. */
export function projectionError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('ERR_SQLITE')) return error;
  if (/no such table/.test(error.message)) {
    return new DaybookError('projection-rebuilding', 'the tables of the read model are gone; they are derived again from the log', { cause: error });
  }
  return new DaybookError('projection-unavailable', `the read model cannot be used: ${error.message}`, { cause: error });
}

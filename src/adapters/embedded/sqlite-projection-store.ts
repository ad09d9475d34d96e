import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DaybookError } from '../../domain/errors.ts';
import type { Positions } from '../../domain/log-record.ts';
import { phaseOf, wasHandedOut, type Attempt } from '../../domain/task-state.ts';
import type { KnownLog } from '../../ports/known-log.ts';
import type { Generation, GenerationSummary, ProjectionBatch, ProjectionStore, TaskRow } from '../../ports/projection-store.ts';
import { openDatabase } from './sqlite-database.ts';
import {
  countTables,
  createGeneration,
  digestedTables,
  dropGeneration,
  generationVersion,
  projectionError,
  projectionFile,
  projectionTables,
  readPositions,
  tableOf,
  type ProjectionTable,
} from './sqlite-projection-schema.ts';

/** How long a call waits for another owner's transaction before it counts as unavailable. */
const lockWaitMs = 5_000;
const rowsPerTurn = 1_000;

/**
 * The read model in a SQLite file of its own, `views.db`. WAL with `synchronous = NORMAL`: a power cut may take the
 * newest transactions, which are derived again, and never half of one.
 */
export class SqliteProjectionStore implements ProjectionStore {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();
  #closed = false;

  /** @param folder the data folder; it exists */
  constructor(folder: string) {
    this.#path = join(folder, projectionFile);
    this.#database = openDatabase(this.#path, { busyTimeoutMs: lockWaitMs });
    this.#database.exec(`
      PRAGMA page_size = 8192;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = 2000;
      PRAGMA cache_size = -32768;
    `);
  }

  async positions(generation: Generation, logIdentity: string): Promise<Positions | null> {
    return this.#transaction(() => {
      if (!this.#exists(generation)) return null;
      const found = this.#meta(generation, 'log_identity');
      if (found === logIdentity) return this.#positions(generation);
      throw new DaybookError(
        'history-lost',
        `the read model was derived from log ${found}, but the log here is ${logIdentity}. ` +
          `If that is intended, stop the process and delete ${projectionFile}; it is derived again.`,
      );
    });
  }

  async knownLogs(): Promise<readonly KnownLog[]> {
    return this.#transaction(() => {
      if (!this.#exists('live')) return [];
      return [{ identity: String(this.#meta('live', 'log_identity')), keptAs: `the read model ${this.#path}`, removal: `stop the diary and delete ${this.#path}` }];
    });
  }

  async applyBatch(batch: ProjectionBatch): Promise<boolean> {
    const { generation, expected, next, taskIds, change } = batch;
    return this.#transaction(() => {
      // First of all the position: whoever comes second finds it moved, and changes nothing.
      if (!samePositions(this.#positions(generation), expected)) return false;
      const sql = statements[generation];
      for (const [partition, offset] of next) this.#run(sql.savePosition, partition, offset);
      this.#run(sql.saveTime, batch.lastEventMs);
      const stored = this.#rows(sql, taskIds);
      for (const row of change(stored)) this.#saveRow(sql, row, stored.has(row.state.taskId));
      for (const { partition, offset, detail } of batch.quarantined) this.#run(sql.saveQuarantined, partition, offset, detail);
      return true;
    });
  }

  async startRebuild(logIdentity: string): Promise<void> {
    this.#transaction(() => {
      dropGeneration(this.#database, 'rebuild');
      createGeneration(this.#database, 'rebuild');
      const { addMeta } = statements.rebuild;
      this.#run(addMeta, 'version', generationVersion);
      this.#run(addMeta, 'log_identity', logIdentity);
      this.#run(addMeta, 'last_event_ms', '0');
    });
  }

  async summaries<Name extends Generation>(generations: readonly Name[]): Promise<Readonly<Record<Name, GenerationSummary | null>>> {
    const existing = this.#transaction(() => new Set(generations.filter((generation) => this.#exists(generation))));
    // A connection of its own, in one read transaction: batches go on meanwhile and are not seen.
    const snapshot = openDatabase(this.#path, { readOnly: true, busyTimeoutMs: lockWaitMs });
    try {
      snapshot.exec('BEGIN');
      const found: Array<[Name, GenerationSummary | null]> = [];
      for (const generation of generations) {
        found.push([generation, existing.has(generation) ? await summaryOf(snapshot, generation) : null]);
      }
      return Object.fromEntries(found) as Record<Name, GenerationSummary | null>;
    } catch (error) {
      throw projectionError(error);
    } finally {
      snapshot.close();
    }
  }

  async swap(at: Positions): Promise<boolean> {
    return this.#transaction(() => {
      if (!this.#exists('rebuild') || !samePositions(this.#positions('rebuild'), at)) return false;
      if (this.#exists('live') && !samePositions(this.#positions('live'), at)) return false;
      dropGeneration(this.#database, 'live');
      for (const table of projectionTables) {
        this.#database.exec(`ALTER TABLE ${tableOf('rebuild', table)} RENAME TO ${tableOf('live', table)}`);
      }
      return true;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#prepared.clear();
    this.#database.close();
  }

  /** Whether a generation is there as a whole. What is left of a broken or outdated one is removed. */
  #exists(generation: Generation): boolean {
    const found = countTables(this.#database, generation);
    if (found === 0) return false;
    if (found === projectionTables.length && this.#meta(generation, 'version') === generationVersion) return true;
    dropGeneration(this.#database, generation);
    return false;
  }

  #meta(generation: Generation, name: string): unknown {
    return this.#statement(statements[generation].meta).get(name)?.value;
  }

  #positions(generation: Generation): Positions {
    return readPositions(this.#statement(statements[generation].positions));
  }

  #rows(sql: Statements, taskIds: readonly string[]): Map<string, TaskRow> {
    const statement = this.#statement(sql.row);
    const rows = new Map<string, TaskRow>();
    for (const taskId of taskIds) {
      const found = statement.get(taskId);
      if (found) rows.set(taskId, JSON.parse(String(found.row)) as TaskRow);
    }
    return rows;
  }

  #saveRow(sql: Statements, row: TaskRow, isStored: boolean): void {
    const { state } = row;
    const { taskId, accepted, rejected, attempts } = state;
    const tags = Object.entries(accepted?.tags ?? {});
    this.#run(
      sql.saveTask,
      taskId,
      accepted?.timeMs ?? rejected?.timeMs ?? null,
      phaseOf(state),
      accepted?.type ?? rejected?.type ?? null,
      accepted?.batch ?? null,
      attempts.findLast(wasHandedOut)?.attempt ?? 0,
      JSON.stringify(row),
    );
    if (isStored) {
      this.#run(sql.dropAttempts, taskId);
      if (tags.length > 0) this.#run(sql.dropTags, taskId);
    }
    for (const [place, values] of attempts.flatMap(attemptValues).entries()) this.#run(sql.addAttempt, taskId, place, ...values);
    for (const [name, value] of tags) this.#run(sql.addTag, taskId, name, value);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  /** Prepared once. SQLite prepares it anew by itself when the tables changed. */
  #statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }

  #transaction<Result>(work: () => Result): Result {
    if (this.#closed) throw new DaybookError('stopped', 'the projection store is closed');
    try {
      // IMMEDIATE: what is read inside cannot be changed by another owner before it is written.
      this.#database.exec('BEGIN IMMEDIATE');
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw projectionError(error);
    }
  }
}

type Statements = ReturnType<typeof statementsFor>;

function statementsFor(generation: Generation) {
  const name = (table: ProjectionTable) => tableOf(generation, table);
  return {
    positions: `SELECT partition, next_offset FROM ${name('positions')}`,
    savePosition: `INSERT OR REPLACE INTO ${name('positions')} VALUES (?, ?)`,
    meta: `SELECT value FROM ${name('meta')} WHERE name = ?`,
    addMeta: `INSERT INTO ${name('meta')} VALUES (?, ?)`,
    saveTime: `UPDATE ${name('meta')} SET value = max(CAST(value AS INTEGER), ?) WHERE name = 'last_event_ms'`,
    saveQuarantined: `INSERT OR REPLACE INTO ${name('quarantine')} VALUES (?, ?, ?)`,
    row: `SELECT row FROM ${name('tasks')} WHERE task_id = ?`,
    saveTask: `INSERT INTO ${name('tasks')} VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (task_id) DO UPDATE SET accepted_ms = excluded.accepted_ms, phase = excluded.phase, type = excluded.type,
        batch = excluded.batch, attempts = excluded.attempts, row = excluded.row`,
    dropAttempts: `DELETE FROM ${name('attempts')} WHERE task_id = ?`,
    addAttempt: `INSERT INTO ${name('attempts')} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    dropTags: `DELETE FROM ${name('tags')} WHERE task_id = ?`,
    addTag: `INSERT INTO ${name('tags')} VALUES (?, ?, ?)`,
  } as const;
}

/** Texts that are made once, so that finding the prepared statement of one costs nothing. */
const statements = { live: statementsFor('live'), rebuild: statementsFor('rebuild') } as const;

type AttemptValues = [attempt: number, executionId: string | null, workerId: string | null, outcome: string | null, ...error: ErrorValues];
type ErrorValues = [fingerprint: string | null, code: string | null, name: string | null];

/** One row per execution, and one for a failure that no execution reported. */
function attemptValues({ attempt, executions, failure }: Attempt): AttemptValues[] {
  const rows = executions.map(({ executionId, workerId, finish }): AttemptValues => {
    const outcome = finish?.outcome ?? null;
    return [attempt, executionId, workerId, outcome, ...errorValues(outcome === 'failed' ? failure : null)];
  });
  const isReported = executions.some(({ finish }) => finish?.outcome === 'failed');
  if (failure && !isReported) rows.push([attempt, null, null, 'failed', ...errorValues(failure)]);
  return rows;
}

function errorValues(failure: Attempt['failure']): ErrorValues {
  return failure ? [failure.error.fingerprint, failure.error.code, failure.error.name] : [null, null, null];
}

async function summaryOf(database: DatabaseSync, generation: Generation): Promise<GenerationSummary> {
  const count = (table: 'tasks' | 'quarantine') => Number(database.prepare(`SELECT count(*) AS rows FROM ${tableOf(generation, table)}`).get()?.rows);
  return {
    positions: readPositions(database.prepare(`SELECT partition, next_offset FROM ${tableOf(generation, 'positions')}`)),
    digest: await digestOf(database, generation),
    tasks: count('tasks'),
    quarantined: count('quarantine'),
  };
}

/** SQLite renders the rows as bytes, which is several times faster than fetching values. A turn for others now and then. */
async function digestOf(database: DatabaseSync, generation: Generation): Promise<string> {
  const hash = createHash('sha256');
  let rowsInTurn = 0;
  for (const { table, key, columns } of digestedTables) {
    const line = columns.map((column) => `ifnull(${column}, '')`).join(', ');
    const rows = database.prepare(`SELECT CAST(concat_ws('|', ${line}) AS BLOB) AS line FROM ${tableOf(generation, table)} ORDER BY ${key}`);
    hash.update(table);
    for (const { line } of rows.iterate()) {
      hash.update(line as Uint8Array);
      if (++rowsInTurn % rowsPerTurn === 0) await nextTurn();
    }
  }
  return hash.digest('hex');
}

function samePositions(left: Positions, right: Positions): boolean {
  return left.size === right.size && [...left].every(([partition, offset]) => right.get(partition) === offset);
}

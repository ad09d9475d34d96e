import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { DaybookError } from '../../domain/errors.ts';
import type { PageKey, ProjectionReader, ProjectionView, TaskFilter, TaskQuery } from '../../ports/projection-reader.ts';
import type { TaskRow } from '../../ports/projection-store.ts';
import { openDatabase } from './sqlite-database.ts';
import { generationVersion, projectionError, projectionFile, readPositions } from './sqlite-projection-schema.ts';

/**
 * Reads `views.db` on a read-only connection of its own, so that it can live in another thread or process than the
 * writer. It never waits for the writer, and the writer never for it.
 */
export class SqliteProjectionReader implements ProjectionReader {
  readonly #path: string;
  #connection: { readonly database: DatabaseSync; readonly statements: Map<string, StatementSync> } | null = null;
  #closed = false;

  /** @param folder the data folder; the file in it may come later */
  constructor(folder: string) {
    this.#path = join(folder, projectionFile);
  }

  async task(taskId: string): Promise<{ row: TaskRow | null; view: ProjectionView }> {
    return this.#snapshot((prepare, view) => {
      const found = prepare('SELECT row FROM tasks WHERE task_id = ?').get(taskId);
      return { row: found ? parseRow(found) : null, view };
    });
  }

  async list({ filter, after, limit }: TaskQuery): Promise<{ rows: readonly TaskRow[]; next: PageKey | null; view: ProjectionView }> {
    return this.#snapshot((prepare, view) => {
      const { sql, values } = listQuery(filter, after);
      const found = prepare(sql).all(...values, limit + 1);
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const next = found.length > limit && last ? { acceptedMs: Number(last.accepted_ms), taskId: String(last.task_id) } : null;
      return { rows: page.map(parseRow), next, view };
    });
  }

  async view(): Promise<ProjectionView> {
    return this.#snapshot((_prepare, view) => view);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#disconnect();
  }

  /** Runs `ask` in one read transaction: rows and positions are of the same moment. */
  #snapshot<Answer>(ask: (prepare: (sql: string) => StatementSync, view: ProjectionView) => Answer): Answer {
    if (this.#closed) throw new DaybookError('stopped', 'the projection reader is closed');
    const { database, statements } = this.#connect();
    const prepare = (sql: string): StatementSync => {
      const known = statements.get(sql);
      if (known) return known;
      const statement = database.prepare(sql);
      // Every combination of filters has a text of its own; a client must not fill memory with them.
      if (statements.size >= 200) statements.clear();
      statements.set(sql, statement);
      return statement;
    };
    try {
      database.exec('BEGIN');
      const answer = ask(prepare, readView(prepare));
      database.exec('COMMIT');
      return answer;
    } catch (error) {
      // The next call connects anew: the file itself may have been replaced.
      this.#disconnect();
      throw projectionError(error);
    }
  }

  #connect() {
    if (this.#connection) return this.#connection;
    try {
      this.#connection = { database: openDatabase(this.#path, { readOnly: true }), statements: new Map() };
      return this.#connection;
    } catch (error) {
      throw new DaybookError('projection-rebuilding', 'the read model does not exist yet; it is derived from the log', { cause: error });
    }
  }

  #disconnect(): void {
    this.#connection?.database.close();
    this.#connection = null;
  }
}

function readView(prepare: (sql: string) => StatementSync): ProjectionView {
  const meta = new Map(prepare('SELECT name, value FROM meta').all().map((row) => [row.name, row.value]));
  if (meta.get('version') !== generationVersion) {
    throw new DaybookError('projection-rebuilding', 'the read model is of another version; it is derived again from the log');
  }
  const positions = readPositions(prepare('SELECT partition, next_offset FROM positions'));
  return { positions, lastEventMs: Number(meta.get('last_event_ms')) };
}

function parseRow(found: Record<string, unknown>): TaskRow {
  return JSON.parse(String(found.row)) as TaskRow;
}

/** Conditions are fixed texts with placeholders; what a client sent is only ever bound. */
function listQuery(filter: TaskFilter, after: PageKey | null): { readonly sql: string; readonly values: SQLInputValue[] } {
  const conditions = ['phase IS NOT NULL'];
  const values: SQLInputValue[] = [];
  const add = (condition: string, ...bound: SQLInputValue[]) => {
    conditions.push(condition);
    values.push(...bound);
  };
  if (after) add('(accepted_ms, task_id) < (?, ?)', after.acceptedMs, after.taskId);
  const { phases, type, worker, error, batch, tags = {}, acceptedFromMs, acceptedBeforeMs, attemptsAbove, attemptsBelow } = filter;
  if (phases) {
    add(`phase IN (${phases.map(() => '?').join(', ')})`, ...phases);
    // Said in the words of the partial index, which is used only then.
    if (!phases.includes('completed')) add("phase <> 'completed'");
  }
  if (type?.endsWith('*')) add('substr(type, 1, ?) = ?', type.length - 1, type.slice(0, -1));
  else if (type !== undefined) add('type = ?', type);
  if (worker !== undefined) add('EXISTS (SELECT 1 FROM attempts WHERE attempts.task_id = tasks.task_id AND worker_id = ?)', worker);
  if (error !== undefined) {
    // The partial index leaves out all but the failures, which are then looked at one by one.
    const matches = '(substr(fingerprint, 1, ?) = ? OR error_code = ? OR error_name = ?)';
    add(`task_id IN (SELECT task_id FROM attempts WHERE fingerprint IS NOT NULL AND ${matches})`, error.length, error, error, error);
  }
  if (batch !== undefined) add('batch = ?', batch);
  for (const [name, value] of Object.entries(tags)) add('task_id IN (SELECT task_id FROM tags WHERE name = ? AND value = ?)', name, value);
  if (acceptedFromMs !== undefined) add('accepted_ms >= ?', acceptedFromMs);
  if (acceptedBeforeMs !== undefined) add('accepted_ms < ?', acceptedBeforeMs);
  if (attemptsAbove !== undefined) add('attempts > ?', attemptsAbove);
  if (attemptsBelow !== undefined) add('attempts < ?', attemptsBelow);
  const sql = `SELECT task_id, accepted_ms, row FROM tasks WHERE ${conditions.join(' AND ')} ORDER BY accepted_ms DESC, task_id DESC LIMIT ?`;
  return { sql, values };
}

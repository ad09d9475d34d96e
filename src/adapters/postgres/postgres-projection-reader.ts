import { DaybookError } from '../../domain/errors.ts';
import type { PageKey, ProjectionReader, ProjectionView, TaskFilter, TaskQuery } from '../../ports/projection-reader.ts';
import type { TaskRow } from '../../ports/projection-store.ts';
import { PostgresPool, type PostgresConnection, type PostgresHealth } from './postgres-pool.ts';
import { generationVersion, projectionError, readMeta, storableText, tablesOf, type PostgresProjectionOptions } from './postgres-projection-schema.ts';
import { defaultSchema } from './postgres-schema.ts';

/** Reads the live tables. It never waits for a batch, and a batch never for it. */
export class PostgresProjectionReader implements ProjectionReader {
  readonly #schema: string;
  readonly #tables: ReturnType<typeof tablesOf>;
  readonly #pool: PostgresPool;

  constructor({ schema = defaultSchema, ...options }: PostgresProjectionOptions) {
    this.#schema = schema;
    this.#tables = tablesOf(schema, 'live');
    this.#pool = new PostgresPool({ applicationName: 'daybook queries', maxConnections: 4, statementTimeoutMs: 10_000, ...options });
  }

  async task(taskId: string): Promise<{ row: TaskRow | null; view: ProjectionView }> {
    return this.#snapshot(async (connection, view) => {
      const { rows } = await connection.repeated<FoundRow>(`SELECT "row" FROM ${this.#tables.tasks} WHERE task_id = $1`, [storableText(taskId)]);
      return { row: rows[0] ? parseRow(rows[0]) : null, view };
    });
  }

  async list({ filter, after, limit }: TaskQuery): Promise<{ rows: readonly TaskRow[]; next: PageKey | null; view: ProjectionView }> {
    return this.#snapshot(async (connection, view) => {
      const { sql, values } = listQuery(this.#tables, filter, after, limit + 1);
      const { rows } = await connection.query<FoundRow & { accepted_ms: string }>(sql, values);
      const page = rows.slice(0, limit).map(parseRow);
      const [last, acceptedMs] = [page.at(-1), rows[limit - 1]?.accepted_ms];
      const next = rows.length > limit && last ? { acceptedMs: Number(acceptedMs), taskId: last.state.taskId } : null;
      return { rows: page, next, view };
    });
  }

  async view(): Promise<ProjectionView> {
    return this.#snapshot(async (_connection, view) => view);
  }

  health(): PostgresHealth {
    return this.#pool.health();
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /**
   * Runs `ask` in one snapshot: rows and positions are of the same moment. The lock comes before the snapshot is taken,
   * so that a swap is either over before it or waits until after it.
   */
  async #snapshot<Answer>(ask: (connection: PostgresConnection, view: ProjectionView) => Promise<Answer>): Promise<Answer> {
    const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE ${this.#tables.meta} IN ACCESS SHARE MODE`;
    try {
      return await this.#pool.transaction(async (connection) => ask(connection, await this.#view(connection)), begin);
    } catch (error) {
      throw projectionError(error);
    }
  }

  async #view(connection: PostgresConnection): Promise<ProjectionView> {
    const meta = await readMeta(connection, this.#schema, 'live');
    if (meta?.version === generationVersion) return { positions: meta.positions, lastEventMs: meta.lastEventMs };
    throw new DaybookError('projection-rebuilding', 'the read model is of another version; it is derived again from the log');
  }
}

interface FoundRow {
  readonly row: string;
}

function parseRow({ row }: FoundRow): TaskRow {
  return JSON.parse(row) as TaskRow;
}

/** Conditions are fixed texts with placeholders; what a client sent is only ever bound. */
function listQuery(
  { tasks, attempts, tags: tagged }: ReturnType<typeof tablesOf>,
  filter: TaskFilter,
  after: PageKey | null,
  limit: number,
): { readonly sql: string; readonly values: readonly unknown[] } {
  const conditions = ['phase IS NOT NULL'];
  const values: unknown[] = [];
  /** Binds a value, and gives its placeholder. */
  const bind = (value: string | number | readonly string[]) => `$${values.push(typeof value === 'string' ? storableText(value) : value)}`;
  const { phases, type, worker, error, batch, tags = {}, acceptedFromMs, acceptedBeforeMs, attemptsAbove, attemptsBelow } = filter;
  if (after) conditions.push(`(accepted_ms, task_id) < (${bind(after.acceptedMs)}, ${bind(after.taskId)})`);
  if (phases) {
    conditions.push(`phase = ANY(${bind(phases)}::text[])`);
    // Said in the words of the partial index, which is used only then.
    if (!phases.includes('completed')) conditions.push("phase <> 'completed'");
  }
  if (type?.endsWith('*')) conditions.push(`starts_with(type, ${bind(type.slice(0, -1))})`);
  else if (type !== undefined) conditions.push(`type = ${bind(type)}`);
  if (worker !== undefined) {
    conditions.push(`EXISTS (SELECT FROM ${attempts} ran WHERE ran.task_id = tasks.task_id AND worker_id = ${bind(worker)})`);
  }
  if (error !== undefined) {
    const text = bind(error);
    // The partial index leaves out all but the failures, which are then looked at one by one.
    const matches = `(starts_with(fingerprint, ${text}) OR error_code = ${text} OR error_name = ${text})`;
    conditions.push(`task_id IN (SELECT task_id FROM ${attempts} WHERE fingerprint IS NOT NULL AND ${matches})`);
  }
  if (batch !== undefined) conditions.push(`batch = ${bind(batch)}`);
  for (const [name, value] of Object.entries(tags)) {
    conditions.push(`task_id IN (SELECT task_id FROM ${tagged} WHERE name = ${bind(name)} AND value = ${bind(value)})`);
  }
  if (acceptedFromMs !== undefined) conditions.push(`accepted_ms >= ${bind(acceptedFromMs)}`);
  if (acceptedBeforeMs !== undefined) conditions.push(`accepted_ms < ${bind(acceptedBeforeMs)}`);
  if (attemptsAbove !== undefined) conditions.push(`attempts > ${bind(attemptsAbove)}`);
  if (attemptsBelow !== undefined) conditions.push(`attempts < ${bind(attemptsBelow)}`);
  const sql = `SELECT "row", accepted_ms FROM ${tasks} AS tasks WHERE ${conditions.join(' AND ')}
    ORDER BY accepted_ms DESC, task_id DESC LIMIT ${bind(limit)}`;
  return { sql, values };
}

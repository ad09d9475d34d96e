import { createHash } from 'node:crypto';
import { DaybookError } from '../../domain/errors.ts';
import type { Positions } from '../../domain/log-record.ts';
import type { KnownLog } from '../../ports/known-log.ts';
import type { Generation, GenerationSummary, ProjectionBatch, ProjectionStore, TaskRow } from '../../ports/projection-store.ts';
import { inTransaction, PostgresPool, type PostgresConnection, type PostgresHealth } from './postgres-pool.ts';
import {
  attemptShape, attemptValues, quarantineShape, quarantineValues, tagShape, tagValues, taskShape, taskValues, type TableShape, type Values,
} from './postgres-projection-rows.ts';
import {
  createTables, digestedTables, dropTables, generationVersion, projectionError, projectionTables, readMeta, storableText, tableName, tablesOf,
  type GenerationMeta, type PostgresProjectionOptions,
} from './postgres-projection-schema.ts';
import { createSchema, defaultSchema, lockUntilCommit, whileShared } from './postgres-schema.ts';

const rowsPerStatement = 1_000;
const rowsPerFetch = 1_000;
/** How long whoever changes what tables there are lets readers wait behind it. */
const tableLockWaitMs = 5_000;
const oneSnapshot = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/**
 * The read model in PostgreSQL. Several diaries may share it: who comes second to a batch finds the positions moved,
 * and changes nothing.
 */
export class PostgresProjectionStore implements ProjectionStore {
  readonly #schema: string;
  readonly #pool: PostgresPool;

  constructor({ schema = defaultSchema, ...options }: PostgresProjectionOptions) {
    this.#schema = schema;
    // One connection for batches, one for summaries, one for positions asked meanwhile.
    this.#pool = new PostgresPool({ applicationName: 'daybook diary', maxConnections: 3, statementTimeoutMs: 30_000, ...options });
  }

  async positions(generation: Generation, logIdentity: string): Promise<Positions | null> {
    const { meta, tables } = await this.#transaction((connection) => this.#find(connection, generation));
    if (tables > 0 && tables < projectionTables.length) await this.#dropBroken(generation);
    if (!meta) return null;
    if (meta.logIdentity === logIdentity) return meta.positions;
    throw new DaybookError(
      'history-lost',
      `the read model was derived from log ${meta.logIdentity}, but the log here is ${logIdentity}. ` +
        `If that is intended, stop the process and drop the tables in schema ${this.#schema}, or set another schema; they are derived again.`,
    );
  }

  async knownLogs(): Promise<readonly KnownLog[]> {
    const { meta } = await this.#transaction((connection) => this.#find(connection, 'live'));
    if (!meta) return [];
    const tables = Object.values(tablesOf(this.#schema, 'live')).join(', ');
    return [{ identity: meta.logIdentity, keptAs: `the read model in PostgreSQL, schema ${this.#schema},`, removal: `stop the diary and run DROP TABLE ${tables}` }];
  }

  async applyBatch({ generation, expected, next, lastEventMs, taskIds, change, quarantined }: ProjectionBatch): Promise<boolean> {
    const { meta, tasks, attempts, tags, quarantine } = tablesOf(this.#schema, generation);
    return this.#transaction(async (connection) => {
      // First of all the position. Whoever comes second waits here, then finds it moved, and changes nothing.
      const moved = await connection.repeated(
        `UPDATE ${meta} SET positions = $2::jsonb, last_event_ms = greatest(last_event_ms, $3) WHERE positions = $1::jsonb`,
        [asJson(expected), asJson(next), lastEventMs],
      );
      if (moved.count === 0) return false;
      const stored = await storedRows(connection, tasks, taskIds);
      const rows = change(stored);
      await saveRows(connection, tasks, taskShape, rows.map(taskValues));
      await replaceParts(connection, attempts, attemptShape, rows, stored, attemptValues);
      await replaceParts(connection, tags, tagShape, rows, stored, tagValues);
      await saveRows(connection, quarantine, quarantineShape, quarantined.map(quarantineValues));
      return true;
    });
  }

  async startRebuild(logIdentity: string): Promise<void> {
    const { meta } = tablesOf(this.#schema, 'rebuild');
    await this.#changeTables(async (connection) => {
      await createSchema(connection, this.#schema);
      await connection.script(`${dropTables(this.#schema, 'rebuild')}; ${createTables(this.#schema, 'rebuild')}`);
      await connection.query(`INSERT INTO ${meta} (version, log_identity, positions, last_event_ms) VALUES ($1, $2, '{}', 0)`, [generationVersion, logIdentity]);
    });
  }

  async summaries<Name extends Generation>(generations: readonly Name[]): Promise<Readonly<Record<Name, GenerationSummary | null>>> {
    const summarize = async (connection: PostgresConnection) => {
      const found: Array<[Name, GenerationSummary | null]> = [];
      for (const generation of generations) {
        const { meta } = await this.#find(connection, generation);
        found.push([generation, meta && (await summaryOf(connection, this.#schema, generation, meta))]);
      }
      return Object.fromEntries(found) as Record<Name, GenerationSummary | null>;
    };
    // A swap waits for the summary here, and not with its hand on the tables, where readers would queue behind it.
    return this.#asking(() =>
      this.#pool.use((connection) => whileShared(connection, this.#tablesLock, () => inTransaction(connection, summarize, oneSnapshot))),
    );
  }

  async swap(at: Positions): Promise<boolean> {
    return this.#changeTables(async (connection) => {
      const rebuilt = await this.#lockTables(connection, 'rebuild');
      const former = await this.#lockTables(connection, 'live');
      if (!rebuilt || !samePositions(rebuilt.positions, at)) return false;
      if (former && !samePositions(former.positions, at)) return false;
      const names = tablesOf(this.#schema, 'rebuild');
      const renamings = projectionTables.map((table) => `ALTER TABLE ${names[table]} RENAME TO ${tableName('live', table)}`);
      await connection.script([dropTables(this.#schema, 'live'), ...renamings].join('; '));
      return true;
    });
  }

  health(): PostgresHealth {
    return this.#pool.health();
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** The meta of a generation that is there as a whole and of this version, and how many of its tables there are. */
  async #find(connection: PostgresConnection, generation: Generation): Promise<{ meta: GenerationMeta | null; tables: number }> {
    const { rows } = await connection.query<{ tables: number }>(
      `SELECT count(*)::integer AS tables FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = $1 AND relname = ANY($2) AND relkind = 'r'`,
      [this.#schema, projectionTables.map((table) => tableName(generation, table))],
    );
    const tables = rows[0]?.tables ?? 0;
    const meta = tables === projectionTables.length ? await readMeta(connection, this.#schema, generation) : null;
    return { meta: meta?.version === generationVersion ? meta : null, tables };
  }

  /** What is left of a generation is of no use, and readers must not take it for the whole. */
  #dropBroken(generation: Generation): Promise<void> {
    return this.#changeTables(async (connection) => {
      const { tables } = await this.#find(connection, generation);
      if (tables < projectionTables.length) await connection.script(dropTables(this.#schema, generation));
    });
  }

  /** Keeps everybody away from a generation, and says where it stands; null when it is not there. */
  async #lockTables(connection: PostgresConnection, generation: Generation): Promise<GenerationMeta | null> {
    const { meta } = await this.#find(connection, generation);
    if (!meta) return null;
    await connection.script(`LOCK TABLE ${Object.values(tablesOf(this.#schema, generation)).join(', ')} IN ACCESS EXCLUSIVE MODE`);
    return readMeta(connection, this.#schema, generation);
  }

  /** A transaction that changes what tables there are: one at a time, and not while a summary is taken. */
  #changeTables<Result>(work: (connection: PostgresConnection) => Promise<Result>): Promise<Result> {
    return this.#transaction(async (connection) => {
      await lockUntilCommit(connection, this.#tablesLock);
      await connection.script(`SET LOCAL lock_timeout = ${tableLockWaitMs}`);
      return work(connection);
    });
  }

  #transaction<Result>(work: (connection: PostgresConnection) => Promise<Result>): Promise<Result> {
    return this.#asking(() => this.#pool.transaction(work));
  }

  async #asking<Result>(ask: () => Promise<Result>): Promise<Result> {
    try {
      return await ask();
    } catch (error) {
      throw projectionError(error);
    }
  }

  get #tablesLock(): string {
    return `tables of ${this.#schema}`;
  }
}

async function storedRows(connection: PostgresConnection, tasks: string, taskIds: readonly string[]): Promise<Map<string, TaskRow>> {
  const { rows } = await connection.repeated<{ row: string }>(`SELECT "row" FROM ${tasks} WHERE task_id = ANY($1::text[])`, [taskIds.map(storableText)]);
  return new Map(
    rows.map(({ row }) => {
      const parsed = JSON.parse(row) as TaskRow;
      return [parsed.state.taskId, parsed];
    }),
  );
}

/** Replaces what tasks have in another table, where that changes at all: most write their parts once. */
async function replaceParts(
  connection: PostgresConnection,
  table: string,
  shape: TableShape,
  rows: readonly TaskRow[],
  stored: ReadonlyMap<string, TaskRow>,
  valuesOf: (row: TaskRow) => Values[],
): Promise<void> {
  const outdated: string[] = [];
  const fresh: Values[] = [];
  for (const row of rows) {
    const former = stored.get(row.state.taskId);
    const [before, after] = [former ? valuesOf(former) : [], valuesOf(row)];
    if (JSON.stringify(before) === JSON.stringify(after)) continue;
    if (before.length > 0) outdated.push(storableText(row.state.taskId));
    fresh.push(...after);
  }
  if (outdated.length > 0) await connection.repeated(`DELETE FROM ${table} WHERE task_id = ANY($1::text[])`, [outdated]);
  await saveRows(connection, table, shape, fresh);
}

/** Writes rows over those with the same key, a page at a time: one array for each column. */
async function saveRows(connection: PostgresConnection, table: string, { columns, key }: TableShape, values: readonly Values[]): Promise<void> {
  const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`);
  const names = quoted(Object.keys(columns));
  const arrays = Object.values(columns).map((type, index) => `$${index + 1}::${type}[]`);
  const replacements = names.filter((name) => !quoted(key).includes(name)).map((name) => `${name} = excluded.${name}`);
  const text = `INSERT INTO ${table} (${names.join(', ')}) SELECT * FROM unnest(${arrays.join(', ')})
    ON CONFLICT (${quoted(key).join(', ')}) DO UPDATE SET ${replacements.join(', ')}`;
  for (let start = 0; start < values.length; start += rowsPerStatement) {
    const page = values.slice(start, start + rowsPerStatement);
    await connection.repeated(text, names.map((_name, index) => page.map((row) => row[index] ?? null)));
  }
}

async function summaryOf(connection: PostgresConnection, schema: string, generation: Generation, { positions }: GenerationMeta): Promise<GenerationSummary> {
  const { tasks, quarantine } = tablesOf(schema, generation);
  const { rows } = await connection.query<{ tasks: string; quarantined: string }>(
    `SELECT (SELECT count(*) FROM ${tasks}) AS tasks, (SELECT count(*) FROM ${quarantine}) AS quarantined`,
  );
  return { positions, digest: await digestOf(connection, schema, generation), tasks: Number(rows[0]?.tasks), quarantined: Number(rows[0]?.quarantined) };
}

/** The server renders the rows, a page at a time, as SQLite does: equal rows give an equal digest on both. */
async function digestOf(connection: PostgresConnection, schema: string, generation: Generation): Promise<string> {
  const hash = createHash('sha256');
  const tables = tablesOf(schema, generation);
  for (const { table, key, columns } of digestedTables) {
    const line = columns.map((column) => `coalesce(${column}::text, '')`).join(', ');
    await connection.script(`DECLARE lines NO SCROLL CURSOR FOR SELECT concat_ws('|', ${line}) AS line FROM ${tables[table]} ORDER BY ${key}`);
    hash.update(table);
    for (let fetched = rowsPerFetch; fetched === rowsPerFetch; ) {
      const { rows } = await connection.query<{ line: string }>(`FETCH ${rowsPerFetch} FROM lines`);
      for (const row of rows) hash.update(row.line);
      fetched = rows.length;
    }
    await connection.script('CLOSE lines');
  }
  return hash.digest('hex');
}

function asJson(positions: Positions): string {
  return JSON.stringify(Object.fromEntries(positions));
}

function samePositions(left: Positions, right: Positions): boolean {
  return left.size === right.size && [...left].every(([partition, offset]) => right.get(partition) === offset);
}

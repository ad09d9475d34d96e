import { DatabaseError } from 'pg';
import { DaybookError } from '../../domain/errors.ts';
import type { Positions } from '../../domain/log-record.ts';
import { rowVersion, type Generation } from '../../ports/projection-store.ts';
import { PostgresUnreachable, saysMissing } from './postgres-errors.ts';
import type { PostgresConnection, PostgresPoolOptions } from './postgres-pool.ts';
import { qualified } from './postgres-schema.ts';

export interface PostgresProjectionOptions extends Pick<PostgresPoolOptions, 'url' | 'connectTimeoutMs' | 'statementTimeoutMs'> {
  /** Default `daybook`. It is made when it is missing. */
  readonly schema?: string;
}

/** Raise it when a table below changes. Generations of another version are not read, and replaced by one that is derived again. */
const schemaVersion = 2;
export const generationVersion = `${schemaVersion}.${rowVersion}`;

/**
 * In the order in which every transaction comes to them. `meta` is the door: who changes a generation holds its one
 * row, who swaps locks its table, and who reads takes its snapshot only once it is in.
 */
export const projectionTables = ['meta', 'tasks', 'attempts', 'tags', 'quarantine'] as const;
export type ProjectionTable = (typeof projectionTables)[number];

/** A generation is told by the names of its tables, so that a swap is a renaming. */
export function tableName(generation: Generation, table: ProjectionTable): string {
  return generation === 'live' ? table : `rebuild_${table}`;
}

/** The tables of a generation, as SQL names them. */
export function tablesOf(schema: string, generation: Generation): Readonly<Record<ProjectionTable, string>> {
  const name = (table: ProjectionTable) => qualified(schema, tableName(generation, table));
  return { meta: name('meta'), tasks: name('tasks'), attempts: name('attempts'), tags: name('tags'), quarantine: name('quarantine') };
}

/** What a digest covers, in its order. Equal rows give the digest that they give in SQLite. */
export const digestedTables = [
  { table: 'tasks', key: 'task_id', columns: ['task_id', 'accepted_ms', 'phase', 'type', 'batch', 'attempts', '"row"'] },
  { table: 'attempts', key: 'task_id, place', columns: ['task_id', 'place', 'attempt', 'execution_id', 'worker_id', 'outcome', 'fingerprint', 'error_code', 'error_name'] },
  { table: 'tags', key: 'task_id, name', columns: ['task_id', 'name', 'value'] },
  { table: 'quarantine', key: 'partition, "offset"', columns: ['partition', '"offset"', 'detail'] },
] as const;

/**
 * Text compares bytewise (`"C"`), as in SQLite: pages, digests and prefixes are the same on both. Indexes have names
 * that the server chooses, which stay free when tables are renamed.
 */
export function createTables(schema: string, generation: Generation): string {
  const { meta, tasks, attempts, tags, quarantine } = tablesOf(schema, generation);
  const text = 'text COLLATE "C"';
  return `
    CREATE TABLE ${meta} (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      version text NOT NULL,
      log_identity text NOT NULL,
      positions jsonb NOT NULL,     -- {partition: next offset to read}
      last_event_ms bigint NOT NULL
    );
    CREATE TABLE ${tasks} (
      task_id ${text} PRIMARY KEY,
      accepted_ms bigint,           -- or rejected; NULL while only stray events are known
      phase ${text},
      type ${text},
      batch ${text},
      attempts integer NOT NULL,    -- the newest one that was handed out
      "row" text NOT NULL           -- the whole TaskRow as JSON; the other columns serve the filters
    );
    CREATE TABLE ${attempts} (
      task_id ${text} NOT NULL,
      place integer NOT NULL,
      attempt integer NOT NULL,
      execution_id ${text},         -- NULL: failed without a start
      worker_id ${text},
      outcome ${text},
      fingerprint ${text},          -- of the error that it failed with, as are the next two
      error_code ${text},
      error_name ${text},
      PRIMARY KEY (task_id, place)
    );
    CREATE TABLE ${tags} (task_id ${text} NOT NULL, name ${text} NOT NULL, value ${text} NOT NULL, PRIMARY KEY (task_id, name));
    CREATE TABLE ${quarantine} (partition integer NOT NULL, "offset" bigint NOT NULL, detail ${text} NOT NULL, PRIMARY KEY (partition, "offset"));
    CREATE INDEX ON ${tasks} (accepted_ms, task_id);
    CREATE INDEX ON ${tasks} (type, accepted_ms, task_id);
    -- Most tasks are completed, and most are so within their first batch: the index stays small.
    CREATE INDEX ON ${tasks} (phase, accepted_ms, task_id) WHERE phase <> 'completed';
    CREATE INDEX ON ${tasks} (batch, accepted_ms, task_id) WHERE batch IS NOT NULL;
    CREATE INDEX ON ${attempts} (fingerprint) WHERE fingerprint IS NOT NULL;
    CREATE INDEX ON ${tags} (name, value);
  `;
}

export function dropTables(schema: string, generation: Generation): string {
  return `DROP TABLE IF EXISTS ${Object.values(tablesOf(schema, generation)).join(', ')}`;
}

export interface GenerationMeta {
  readonly version: string;
  readonly logIdentity: string;
  readonly positions: Positions;
  readonly lastEventMs: number;
}

/** Null when its one row is missing. Fails when the table is. */
export async function readMeta(connection: PostgresConnection, schema: string, generation: Generation): Promise<GenerationMeta | null> {
  const { meta } = tablesOf(schema, generation);
  const { rows } = await connection.query<MetaRow>(`SELECT version, log_identity, positions, last_event_ms FROM ${meta}`);
  const row = rows[0];
  if (!row) return null;
  const positions = new Map(Object.entries(row.positions).map(([partition, offset]) => [Number(partition), offset]));
  return { version: row.version, logIdentity: row.log_identity, positions, lastEventMs: Number(row.last_event_ms) };
}

interface MetaRow {
  readonly version: string;
  readonly log_identity: string;
  readonly positions: Readonly<Record<string, number>>;
  readonly last_event_ms: string;
}

/**
 * Text as a column can hold it. PostgreSQL has no U+0000, and one foreign record that carries it must not stop the
 * read model. Different texts stay different; ordinary ones stay as they are.
 */
export function storableText(text: string): string {
  if (!/[\0\u0001]/.test(text)) return text;
  return text.replaceAll('\u0001', '\u0001\u0002').replaceAll('\0', '\u0001\u0001');
}

/** What a failed call on the database means to the callers of the ports. Other errors pass unchanged. */
export function projectionError(error: unknown): unknown {
  if (saysMissing(error)) {
    return new DaybookError('projection-rebuilding', 'the tables of the read model are gone; they are derived again from the log', { cause: error });
  }
  if (!(error instanceof PostgresUnreachable || error instanceof DatabaseError)) return error;
  return new DaybookError('projection-unavailable', `the read model cannot be used: ${error.message}`, { cause: error });
}

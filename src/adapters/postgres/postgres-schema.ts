import { DaybookError } from '../../domain/errors.ts';
import type { PostgresConnection, PostgresPool } from './postgres-pool.ts';

/** Where the tables are, unless told otherwise. */
export const defaultSchema = 'daybook';

/** A table or function of the schema, as SQL names it. */
export function qualified(schema: string, name: string): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/**
 * Makes what is missing of one part of the schema. Processes that start together do it one after the other. A crash
 * in between leaves nothing: it is one transaction.
 * @param define idempotent statements
 * @throws DaybookError `configuration-invalid`: the part was made by a newer version of Daybook
 */
export function preparePart(pool: PostgresPool, schema: string, { part, version, define }: SchemaPart): Promise<void> {
  return pool.transaction(async (connection) => {
    await createSchema(connection, schema);
    const versions = qualified(schema, 'versions');
    await connection.script(`CREATE TABLE IF NOT EXISTS ${versions} (part text PRIMARY KEY, version integer NOT NULL)`);
    const { rows } = await connection.query<{ version: number }>(`SELECT version FROM ${versions} WHERE part = $1`, [part]);
    const found = rows[0]?.version ?? version;
    if (found > version) {
      throw new DaybookError('configuration-invalid', `the ${part} in schema ${schema} have version ${found}, this Daybook knows ${version}: use a newer one, or another schema`);
    }
    await connection.script(define(schema));
    await connection.query(`INSERT INTO ${versions} VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET version = excluded.version`, [part, version]);
  });
}

export interface SchemaPart {
  readonly part: string;
  readonly version: number;
  readonly define: (schema: string) => string;
}

/** Waits for a lock that is nothing but a name, and holds it until the end of the transaction. */
export async function lockUntilCommit(connection: PostgresConnection, name: string): Promise<void> {
  await connection.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`daybook ${name}`]);
}

/** Runs `work`, which begins its own transaction, while nobody holds the lock of that name alone. */
export async function whileShared<Result>(connection: PostgresConnection, name: string, work: () => Promise<Result>): Promise<Result> {
  await connection.query('SELECT pg_advisory_lock_shared(hashtextextended($1, 0))', [`daybook ${name}`]);
  try {
    return await work();
  } finally {
    await connection.query('SELECT pg_advisory_unlock_shared(hashtextextended($1, 0))', [`daybook ${name}`]);
  }
}

/**
 * Makes the schema if it is missing; others that would do the same wait until the transaction ends. `CREATE SCHEMA IF
 * NOT EXISTS` would ask for the right to create one even where it exists.
 */
export async function createSchema(connection: PostgresConnection, schema: string): Promise<void> {
  await lockUntilCommit(connection, `schema ${schema}`);
  const { count } = await connection.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
  if (count === 0) await connection.script(`CREATE SCHEMA ${quoted(schema)}`);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

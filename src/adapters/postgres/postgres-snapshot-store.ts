import { createHash } from 'node:crypto';
import { DatabaseError } from 'pg';
import { DaybookError, messageOf } from '../../domain/errors.ts';
import type { KnownLog } from '../../ports/known-log.ts';
import type { Logger } from '../../ports/logger.ts';
import { foldVersion, snapshotOfAnotherLog, type Snapshot, type SnapshotStore } from '../../ports/snapshot-store.ts';
import { PostgresUnreachable, saysMissing } from './postgres-errors.ts';
import { PostgresPool, type PostgresPoolOptions } from './postgres-pool.ts';
import { defaultSchema, preparePart, qualified, type SchemaPart } from './postgres-schema.ts';

export interface PostgresSnapshotStoreOptions extends Pick<PostgresPoolOptions, 'url' | 'connectTimeoutMs' | 'statementTimeoutMs'> {
  /** Default `daybook`. It is made with the first snapshot when it is missing. */
  readonly schema?: string;
  /** The log whose partitions these are. */
  readonly topic: string;
  readonly logger: Logger;
  /** Default `foldVersion`. */
  readonly version?: number;
}

interface Row {
  readonly log_identity: string;
  readonly position: string;
  readonly fold_version: number;
  readonly digest: string;
  readonly body: Buffer;
}

const snapshotsPart: SchemaPart = {
  part: 'snapshots',
  version: 1,
  define: (schema) => `
    CREATE TABLE IF NOT EXISTS ${qualified(schema, 'snapshots')} (
      topic text COLLATE "C" NOT NULL,
      partition integer NOT NULL,
      log_identity text COLLATE "C" NOT NULL,
      position bigint NOT NULL,        -- the next offset to read
      fold_version integer NOT NULL,
      digest text COLLATE "C" NOT NULL,
      body bytea NOT NULL,
      saved_at timestamptz NOT NULL,
      PRIMARY KEY (topic, partition)
    )`,
};

/**
 * Snapshots in PostgreSQL, for dispatchers on several hosts: whoever takes a partition over finds what its former owner
 * wrote. One row for each partition, replaced in one statement.
 */
export class PostgresSnapshotStore implements SnapshotStore {
  readonly #schema: string;
  readonly #topic: string;
  readonly #logger: Logger;
  readonly #version: number;
  readonly #pool: PostgresPool;

  constructor({ schema = defaultSchema, topic, logger, version = foldVersion, ...options }: PostgresSnapshotStoreOptions) {
    this.#schema = schema;
    this.#topic = topic;
    this.#logger = logger;
    this.#version = version;
    this.#pool = new PostgresPool({ applicationName: 'daybook snapshots', maxConnections: 2, statementTimeoutMs: 30_000, ...options });
  }

  async load(partition: number, logIdentity: string): Promise<Snapshot | null> {
    const text = `SELECT log_identity, position, fold_version, digest, body FROM ${this.#table} WHERE topic = $1 AND partition = $2`;
    let row: Row | undefined;
    try {
      [row] = await this.#rows<Row>(text, [this.#topic, partition]);
    } catch (error) {
      return this.#unusable(partition, messageOf(error));
    }
    if (!row) return null;
    if (row.log_identity !== logIdentity) throw snapshotOfAnotherLog(this.#known(row.log_identity, [partition]), logIdentity);
    if (row.fold_version !== this.#version) return this.#unusable(partition, `it has fold version ${row.fold_version}, this Daybook has ${this.#version}`);
    const snapshot: Snapshot = { partition, logIdentity, position: Number(row.position), body: row.body };
    return row.digest === digestOf(snapshot) ? snapshot : this.#unusable(partition, 'its digest is that of other bytes');
  }

  async save(snapshot: Snapshot): Promise<void> {
    const isSaved = await this.#asking(async () => {
      try {
        return await this.#replace(snapshot);
      } catch (error) {
        if (!saysMissing(error)) throw error;
        await preparePart(this.#pool, this.#schema, snapshotsPart);
        return this.#replace(snapshot);
      }
    });
    if (isSaved) return;
    const other = (await this.knownLogs()).find(({ identity }) => identity !== snapshot.logIdentity);
    throw other ? snapshotOfAnotherLog(other, snapshot.logIdentity) : new DaybookError('snapshot-unavailable', 'a snapshot of another log stood in the way, and is gone now');
  }

  async knownLogs(): Promise<readonly KnownLog[]> {
    const text = `SELECT log_identity, array_agg(partition ORDER BY partition) AS partitions FROM ${this.#table} WHERE topic = $1 GROUP BY log_identity`;
    const rows = await this.#asking(() => this.#rows<{ log_identity: string; partitions: number[] }>(text, [this.#topic]));
    return rows.map(({ log_identity, partitions }) => this.#known(log_identity, partitions));
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  get #table(): string {
    return qualified(this.#schema, 'snapshots');
  }

  /** None where the table was never made. */
  async #rows<Found>(text: string, values: readonly unknown[]): Promise<readonly Found[]> {
    try {
      const { rows } = await this.#pool.use((connection) => connection.query<Found>(text, values));
      return rows;
    } catch (error) {
      if (saysMissing(error)) return [];
      throw error;
    }
  }

  async #asking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof PostgresUnreachable || error instanceof DatabaseError)) throw error;
      throw new DaybookError('snapshot-unavailable', `PostgreSQL does not keep the snapshot: ${error.message}`, { cause: error });
    }
  }

  /** False, with nothing changed, when there is a snapshot of another log. */
  async #replace(snapshot: Snapshot): Promise<boolean> {
    const { partition, logIdentity, position, body } = snapshot;
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const { count } = await this.#pool.use((connection) =>
      connection.query(
        `INSERT INTO ${this.#table} AS former (topic, partition, log_identity, position, fold_version, digest, body, saved_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
          ON CONFLICT (topic, partition) DO UPDATE SET position = excluded.position, fold_version = excluded.fold_version,
            digest = excluded.digest, body = excluded.body, saved_at = excluded.saved_at
          WHERE former.log_identity = excluded.log_identity`,
        [this.#topic, partition, logIdentity, position, this.#version, digestOf(snapshot), bytes],
      ),
    );
    return count === 1;
  }

  #known(identity: string, partitions: readonly number[]): KnownLog {
    const where = partitions.length === 1 ? `partition ${partitions[0]}` : `partitions ${partitions.join(', ')}`;
    return {
      identity,
      keptAs: `the snapshot of ${where} in PostgreSQL`,
      removal: `stop the dispatchers and run DELETE FROM ${this.#table} WHERE topic = '${this.#topic}'`,
    };
  }

  #unusable(partition: number, reason: string): null {
    this.#logger.warn({ partition, reason }, 'a snapshot is of no use; its partition is folded from its beginning');
    return null;
  }
}

function digestOf({ partition, logIdentity, position, body }: Snapshot): string {
  return createHash('sha256').update(JSON.stringify([partition, logIdentity, position])).update(body).digest('hex');
}

import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { PostgresExecutionClaims } from '../../src/adapters/postgres/postgres-execution-claims.ts';
import { PostgresProjectionReader } from '../../src/adapters/postgres/postgres-projection-reader.ts';
import { projectionTables } from '../../src/adapters/postgres/postgres-projection-schema.ts';
import { PostgresProjectionStore } from '../../src/adapters/postgres/postgres-projection-store.ts';
import { PostgresSnapshotStore } from '../../src/adapters/postgres/postgres-snapshot-store.ts';
import type { ExecutionClaimsHarness, OpenClaims } from '../contracts/execution-claims.contract.ts';
import type { ProjectionStoreHarness } from '../contracts/projection-store.contract.ts';
import type { SnapshotStoreHarness } from '../contracts/snapshot-store.contract.ts';
import { brokerOf } from './brokers.ts';
import { countingLogger } from './counting-logger.ts';
import { eventually } from './eventually.ts';
import { PostgresProxy } from './postgres-proxy.ts';

/** The server that the tests use. They fail without one: a suite that skips its subject proves nothing. */
export function postgresUrl(): string {
  return brokerOf('DAYBOOK_POSTGRES_URL');
}

/** A schema of its own on the real server, reached through a proxy, with a client beside it for what tests do to it. */
export class PostgresUnderTest {
  readonly schema = `daybook_test_${randomUUID().replaceAll('-', '')}`;
  readonly admin: Client;
  readonly proxy: PostgresProxy;
  readonly #closing: (() => Promise<void>)[] = [];

  private constructor(proxy: PostgresProxy, admin: Client) {
    this.proxy = proxy;
    this.admin = admin;
  }

  static async open(): Promise<PostgresUnderTest> {
    const admin = new Client({ connectionString: postgresUrl(), application_name: 'daybook tests' });
    await admin.connect();
    return new PostgresUnderTest(await PostgresProxy.open(postgresUrl()), admin);
  }

  /** What adapters are to connect with. Their sessions bear the schema as their name, so that a test ends its own only. */
  get connection(): { readonly url: string; readonly schema: string } {
    const url = new URL(this.proxy.url);
    url.searchParams.set('application_name', this.schema);
    return { url: url.href, schema: this.schema };
  }

  /** Something to close before the schema goes. */
  closeLater(close: () => Promise<void>): void {
    this.#closing.push(close);
  }

  /** Ends the adapters' sessions on the server, as an administrator does. Returns how many there were. */
  async terminateSessions(): Promise<number> {
    const { rowCount } = await this.admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [this.schema]);
    return rowCount ?? 0;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.proxy.mend();
    for (const close of this.#closing.splice(0)) await close();
    await this.proxy.close();
    await this.admin.query(`DROP SCHEMA IF EXISTS ${this.schema} CASCADE`);
    await this.admin.end();
  }
}

export async function postgresExecutionClaimsHarness(): Promise<ExecutionClaimsHarness> {
  const postgres = await PostgresUnderTest.open();
  const open = async (): Promise<OpenClaims> => {
    const claims = openClaims(postgres);
    return { claims, close: () => claims.close() };
  };
  return {
    open,
    passTime: (ms) => passTime(postgres, ms),
    async reopenAfterCrash(work) {
      await work(openClaims(postgres));
      postgres.proxy.dropConnections();
      await postgres.terminateSessions();
      return open();
    },
    async breakClaims() {
      postgres.proxy.cut();
      return async () => postgres.proxy.mend();
    },
    close: () => postgres.close(),
  };
}

export function openClaims(postgres: PostgresUnderTest, logIdentity = 'log-1'): PostgresExecutionClaims {
  const claims = new PostgresExecutionClaims({ ...postgres.connection, logIdentity: async () => logIdentity });
  postgres.closeLater(() => claims.close());
  return claims;
}

export async function postgresProjectionStoreHarness(): Promise<ProjectionStoreHarness> {
  const postgres = await PostgresUnderTest.open();
  return {
    open: async () => openProjections(postgres),
    async reopenAfterCrash() {
      postgres.proxy.dropConnections();
      await postgres.terminateSessions();
      return openProjections(postgres);
    },
    dropTables: (which) => dropProjectionTables(postgres, which === 'all' ? projectionTables : ['tasks']),
    close: () => postgres.close(),
  };
}

export async function postgresSnapshotStoreHarness(): Promise<SnapshotStoreHarness> {
  const postgres = await PostgresUnderTest.open();
  const { logger, warnings } = countingLogger();
  const open = (topic = 'tasks', version?: number) => {
    const store = new PostgresSnapshotStore({ ...postgres.connection, topic, logger, ...(version === undefined ? {} : { version }) });
    postgres.closeLater(() => store.close());
    return store;
  };
  const damages = {
    'flip a byte of the body': 'body = set_byte(body, 0, get_byte(body, 0) # 1)',
    'cut it short': 'body = substring(body from 1 for 2)',
    'move its position': 'position = position + 1',
  };
  return {
    open,
    warnings,
    async reopenAfterCrash() {
      postgres.proxy.dropConnections();
      await postgres.terminateSessions();
      return open();
    },
    async damage(partition, how) {
      await postgres.admin.query(`UPDATE ${postgres.schema}.snapshots SET ${damages[how]} WHERE topic = 'tasks' AND partition = $1`, [partition]);
    },
    breakWriting: async () => postgres.proxy.cut(),
    close: () => postgres.close(),
  };
}

export function openProjections(postgres: PostgresUnderTest) {
  const store = new PostgresProjectionStore(postgres.connection);
  const reader = new PostgresProjectionReader(postgres.connection);
  postgres.closeLater(async () => {
    await store.close();
    await reader.close();
  });
  return { store, reader };
}

/** What an operator does. */
export async function dropProjectionTables(postgres: PostgresUnderTest, tables: readonly string[]): Promise<void> {
  for (const table of tables) await postgres.admin.query(`DROP TABLE ${postgres.schema}.${table}`);
}

/** Waits until that many of the adapters' sessions wait for a lock. */
export async function waitForLocks(postgres: PostgresUnderTest, sessions: number): Promise<void> {
  await eventually(async () => {
    const text = "SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    // Within a transaction the server would show its sessions as they were at the first look.
    await postgres.admin.query('SELECT pg_stat_clear_snapshot()');
    const { rowCount } = await postgres.admin.query(text, [postgres.schema]);
    return rowCount === sessions;
  });
}

/** Nobody can move the server's clock; that every stored instant lies further back is the same to whoever asks. */
export async function passTime(postgres: PostgresUnderTest, ms: number): Promise<void> {
  const earlier = `- ${ms} * interval '1 millisecond'`;
  await postgres.admin.query(`UPDATE ${postgres.schema}.claims SET lease_until = lease_until ${earlier}, touched_at = touched_at ${earlier}`);
}

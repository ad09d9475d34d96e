import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { PostgresUnderTest } from '../../../test/support/postgres-harness.ts';
import { makeCertificate } from '../../../tools/brokers/certificate.ts';
import { PostgresTlsProxy } from '../../../test/support/postgres-tls-proxy.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { PostgresUnreachable, sqlStateOf } from './postgres-errors.ts';
import { PostgresPool, type PostgresPoolOptions } from './postgres-pool.ts';

const isUnreachable = (error: unknown) => error instanceof PostgresUnreachable;
const refusedWith = (state: string) => (error: unknown) => sqlStateOf(error) === state && !isUnreachable(error);

it('tells a server that cannot be reached from one that refuses', async () => {
  const { postgres, pool } = await opened();
  await expect(ask(pool, 'SELECT * FROM there_is_no_such_table')).rejects.toSatisfy(refusedWith('42P01'));
  expect(pool.health().ok).toBe(true);
  const changed = (change: (url: URL) => void) => {
    const url = new URL(postgres.connection.url);
    change(url);
    return poolOf(postgres, { url: url.href });
  };
  await expect(ask(changed((url) => (url.pathname = '/no_such_database')))).rejects.toSatisfy(refusedWith('3D000'));
  await expect(ask(changed((url) => (url.hostname = 'no-such-host.invalid')))).rejects.toSatisfy(isUnreachable);
  const nobody = changed((url) => (url.port = '1'));
  await expect(ask(nobody)).rejects.toSatisfy(isUnreachable);
  expect(nobody.health().ok).toBe(false);
  expect(nobody.health().detail).not.toContain(new URL(postgres.connection.url).password);
});

it('has a repeated statement parsed once a connection, and others not kept', async () => {
  const { postgres } = await opened();
  const pool = poolOf(postgres, { maxConnections: 1 });
  const add = (left: number, right: number) => pool.use((connection) => connection.repeated('SELECT $1::integer + $2::integer AS sum', [left, right]));
  expect((await add(1, 2)).rows).toEqual([{ sum: 3 }]);
  expect((await add(3, 4)).rows).toEqual([{ sum: 7 }]);
  const kept = await pool.use((connection) => connection.query('SELECT statement, generic_plans + custom_plans AS runs FROM pg_prepared_statements'));
  expect(kept.rows).toEqual([{ statement: 'SELECT $1::integer + $2::integer AS sum', runs: '2' }]);
});

it('repeats a statement on a table that was made anew, and on a connection that was', async () => {
  const { postgres } = await opened();
  const pool = poolOf(postgres, { maxConnections: 1 });
  const place = `${postgres.schema}.place`;
  const make = `DROP TABLE IF EXISTS ${place}; CREATE TABLE ${place} AS SELECT 1 AS number`;
  const count = () => pool.use((connection) => connection.repeated(`SELECT number FROM ${place} WHERE number < $1`, [5]));
  await pool.use((connection) => connection.script(`CREATE SCHEMA IF NOT EXISTS ${postgres.schema}; ${make}`));
  expect((await count()).count).toBe(1);
  await pool.use((connection) => connection.script(make));
  expect((await count()).count).toBe(1);
  expect(await postgres.terminateSessions()).toBe(1);
  await eventually(async () => (await count().catch(() => null))?.count === 1);
});

it('takes a login with a wrong password for a refusal', async () => {
  const { postgres } = await opened();
  const url = new URL(postgres.connection.url);
  url.password = 'wrong';
  await expect(ask(poolOf(postgres, { url: url.href }))).rejects.toSatisfy(refusedWith('28P01'));
});

it('gives up on a statement that takes too long, and goes on with the next', async () => {
  const { postgres } = await opened();
  const pool = poolOf(postgres, { statementTimeoutMs: 100 });
  await expect(ask(pool, 'SELECT pg_sleep(20)')).rejects.toSatisfy(isUnreachable);
  expect(await ask(pool)).toBe(1);
});

it('survives that its idle connections are ended', async () => {
  const { postgres, pool } = await opened();
  await Promise.all([ask(pool), ask(pool), ask(pool)]);
  expect(await postgres.terminateSessions()).toBeGreaterThan(0);
  await eventually(async () => (await ask(pool)) === 1);
  expect(pool.health().ok).toBe(true);
});

it('holds no more connections than it may, and lets others wait, within bounds', async () => {
  const { postgres } = await opened();
  const pool = poolOf(postgres, { maxConnections: 2 });
  const results = await Promise.allSettled(Array.from({ length: 400 }, () => ask(pool)));
  const { rowCount } = await postgres.admin.query('SELECT FROM pg_stat_activity WHERE application_name = $1', [postgres.schema]);
  expect(rowCount).toBeLessThanOrEqual(2);
  const refused = results.filter((result) => result.status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every(({ reason }) => isUnreachable(reason))).toBe(true);
});

it('notices by itself that the server went and came back, when nobody asks anything but the health', async () => {
  const { postgres, pool } = await opened();
  await eventually(() => pool.health().ok);
  postgres.proxy.cut();
  await eventually(() => !pool.health().ok);
  postgres.proxy.mend();
  await eventually(() => pool.health().ok);
});

it('rolls back what throws, and keeps the connection', async () => {
  const { pool } = await opened();
  const failing = pool.transaction(async (connection) => {
    await connection.script('CREATE TEMPORARY TABLE kept (n integer)');
    throw new RangeError('a defect');
  });
  await expect(failing).rejects.toThrow(RangeError);
  await expect(ask(pool, 'SELECT * FROM kept')).rejects.toSatisfy(refusedWith('42P01'));
});

it('closes within its deadline while a statement runs and the server says nothing', async () => {
  const { postgres, pool } = await opened();
  let isAsking = false;
  const asking = pool.use(async (connection) => {
    postgres.proxy.freeze();
    isAsking = true;
    return connection.query('SELECT 1');
  });
  const unanswered = expect(asking).rejects.toSatisfy(isUnreachable);
  await eventually(() => isAsking);
  const startedMs = performance.now();
  await pool.close(300);
  await unanswered;
  expect(performance.now() - startedMs).toBeLessThan(1_500);
  await pool.close();
  await expect(ask(pool)).rejects.toMatchObject({ code: 'stopped' });
});

describe('TLS', () => {
  it('trusts the named authority alone, and checks the host only when asked to', async () => {
    const { postgres } = await opened();
    const folder = temporaryFolder();
    const certificate = makeCertificate(folder, 'DNS:another-host');
    const tls = await PostgresTlsProxy.open(postgres.proxy.url, certificate);
    postgres.closeLater(() => tls.close());
    const pool = (sslmode: string, options: Partial<PostgresPoolOptions> = {}) => {
      const url = new URL(tls.url);
      url.searchParams.set('application_name', postgres.schema);
      url.searchParams.set('sslmode', sslmode);
      if (sslmode !== 'require') url.searchParams.set('sslrootcert', certificate.file);
      return poolOf(postgres, { url: url.href, ...options });
    };
    expect(await ask(pool('require'))).toBe(1);
    expect(await ask(pool('verify-ca'))).toBe(1);
    await expect(ask(pool('verify-full'))).rejects.toSatisfy(isUnreachable);
    // Also here, giving a connection up reaches the socket.
    const impatient = pool('require', { statementTimeoutMs: 100 });
    expect(await ask(impatient)).toBe(1);
    postgres.proxy.freeze();
    await expect(ask(impatient)).rejects.toSatisfy(isUnreachable);
  });

  it('does not speak in clear to a server without TLS when told not to', async () => {
    const { postgres } = await opened();
    const url = new URL(postgres.connection.url);
    url.searchParams.set('sslmode', 'require');
    const { rows } = await postgres.admin.query<{ ssl: string }>("SELECT current_setting('ssl') AS ssl");
    const asking = ask(poolOf(postgres, { url: url.href }));
    if (rows[0]?.ssl === 'on') expect(await asking).toBe(1);
    else await expect(asking).rejects.toSatisfy(isUnreachable);
  });
});

async function opened() {
  const postgres = await PostgresUnderTest.open();
  onTestFinished(() => postgres.close());
  return { postgres, pool: poolOf(postgres) };
}

function poolOf(postgres: PostgresUnderTest, options: Partial<PostgresPoolOptions> = {}): PostgresPool {
  const pool = new PostgresPool({ url: postgres.connection.url, applicationName: 'test', ...options });
  postgres.closeLater(() => pool.close());
  return pool;
}

async function ask(pool: PostgresPool, text = 'SELECT 1 AS answer'): Promise<unknown> {
  const { rows } = await pool.use((connection) => connection.query<{ answer: number }>(text));
  return rows[0]?.answer;
}

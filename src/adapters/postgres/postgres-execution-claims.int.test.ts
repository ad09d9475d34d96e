import { Client } from 'pg';
import { expect, it, onTestFinished, vi } from 'vitest';
import { executionClaimsContract } from '../../../test/contracts/execution-claims.contract.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { openClaims, passTime, postgresExecutionClaimsHarness, PostgresUnderTest, waitForLocks } from '../../../test/support/postgres-harness.ts';
import { hasCode } from '../../domain/errors.ts';
import type { ClaimRequest, ExecutionClaims, StoredOutcome } from '../../ports/execution-claims.ts';
import { PostgresExecutionClaims } from './postgres-execution-claims.ts';

executionClaimsContract({ name: 'PostgreSQL', create: postgresExecutionClaimsHarness });

const leaseMs = 10_000;
const a: ClaimRequest = { taskId: 'task', attempt: 1, executionId: 'execution-a', workerId: 'worker-1', leaseMs };
const b: ClaimRequest = { ...a, executionId: 'execution-b', workerId: 'worker-2' };
const isUnavailable = (error: unknown) => hasCode(error, 'claims-unavailable');
const isRefusal = (error: unknown) => error instanceof Error && !isUnavailable(error);

it('gives each of 200 attempts to one of two workers that ask for all of them at once, over and over', async () => {
  const postgres = await opened();
  const workers = [openClaims(postgres), openClaims(postgres)] as const;
  for (let round = 0; round < 3; round += 1) {
    const tasks = Array.from({ length: 200 }, (_, number) => `task-${round}-${number}`);
    const ask = (claims: ExecutionClaims, request: ClaimRequest, order: readonly string[]) =>
      Promise.all(order.map(async (taskId) => ({ taskId, type: (await claims.claim({ ...request, taskId })).type })));
    const answers = await Promise.all([ask(workers[0], a, tasks), ask(workers[1], b, tasks.toReversed())]);
    const claimed = answers.flat().filter(({ type }) => type === 'claimed').map(({ taskId }) => taskId);
    expect(claimed.toSorted()).toEqual(tasks.toSorted());
    expect(answers.flat().filter(({ type }) => type === 'held')).toHaveLength(200);
  }
});

it('locks rows in the order of their keys, so that batches never wait for each other in a circle', async () => {
  const postgres = await opened();
  await openClaims(postgres).claim(a);
  const calls = Array.from({ length: 300 }, (_, place) => ({ place, kind: 'claim', task_id: `t${place}`, attempt: 1, worker_id: 'w', lease_ms: leaseMs }));
  const session = async (executionId: string, order: typeof calls) => {
    const client = new Client({ connectionString: postgres.connection.url });
    await client.connect();
    try {
      for (let round = 0; round < 10; round += 1) {
        const batch = JSON.stringify(order.map((call) => ({ ...call, execution_id: executionId })));
        await client.query(`SELECT count(*) FROM ${postgres.schema}.apply_claims_v1('log-1', $1::json)`, [batch]);
      }
    } finally {
      await client.end();
    }
  };
  // A deadlock would be a refusal here: nothing sends these batches again.
  await Promise.all([session('one', calls), session('two', calls.toReversed())]);
});

it('stores one completion per task when attempts complete in two workers at once', async () => {
  const postgres = await opened();
  const workers = [openClaims(postgres), openClaims(postgres)] as const;
  const tasks = Array.from({ length: 100 }, (_, number) => `task-${number}`);
  const complete = (claims: ExecutionClaims, attempt: number) =>
    Promise.all(tasks.map((taskId) => claims.storeOutcome({ taskId, attempt, executionId: `e-${attempt}` }, outcome(`${taskId} ${attempt}`))));
  const [first, second] = await Promise.all([complete(workers[0], 1), complete(workers[1], 2)]);
  for (const [index, taskId] of tasks.entries()) {
    const [one, two] = [first[index], second[index]];
    expect([one?.type, two?.type].toSorted()).toEqual(['other-outcome', 'stored']);
    const loser = one?.type === 'stored' ? two : one;
    expect(loser?.type === 'other-outcome' && loser.outcome.eventId).toBe(`${taskId} ${one?.type === 'stored' ? 1 : 2}`);
  }
});

it('lets the second of two completions wait for the first, and names it', async () => {
  const postgres = await opened();
  const [one, two] = [openClaims(postgres), openClaims(postgres)];
  const last = { ...a, taskId: 'z' };
  await one.claim(last);
  await postgres.admin.query(`BEGIN; SELECT FROM ${postgres.schema}.claims FOR UPDATE`);
  // The first batch has stored its completion, and waits for the row behind it.
  const first = Promise.all([one.storeOutcome(a, outcome('first')), one.renew(last, leaseMs)]);
  await waitForLocks(postgres, 1);
  const second = two.storeOutcome({ ...b, attempt: 2 }, outcome('second'));
  await waitForLocks(postgres, 2);
  await postgres.admin.query('ROLLBACK');
  expect(await first).toEqual([{ type: 'stored' }, true]);
  expect(await second).toMatchObject({ type: 'other-outcome', outcome: { eventId: 'first' } });
});

it('does not know what became of a batch whose session was ended, and may ask again', async () => {
  const postgres = await opened();
  const claims = openClaims(postgres);
  await claims.claim(a);
  // The batch waits for a row that somebody else holds, in the middle of its work.
  await postgres.admin.query(`BEGIN; SELECT FROM ${postgres.schema}.claims FOR UPDATE`);
  const calls = [claims.renew(a, leaseMs), claims.claim({ ...a, taskId: 'a task before' }), claims.claim({ ...a, taskId: 'task after' })];
  const settled = Promise.allSettled(calls);
  await waitForLocks(postgres, 1);
  await postgres.terminateSessions();
  for (const result of await settled) expect(result.status === 'rejected' && isUnavailable(result.reason)).toBe(true);
  await postgres.admin.query('ROLLBACK');
  expect(await claims.claim({ ...b, taskId: 'a task before' })).toEqual({ type: 'claimed', deaths: 0 });
  expect(await claims.renew(a, leaseMs)).toBe(true);
});

it('answers a call whose first answer was lost after the commit as if it were the first one', async () => {
  const postgres = await opened();
  const claims = openClaims(postgres);
  await claims.claim(a);
  await passTime(postgres, leaseMs + 1);
  const loseAnswer = async (call: () => Promise<unknown>) => {
    // The calls themselves: the statement is known to the server by its name.
    postgres.proxy.loseAnswerTo('"kind":');
    await expect(call()).rejects.toSatisfy(isUnavailable);
  };
  await loseAnswer(() => claims.claim(b));
  expect(await stored(postgres)).toMatchObject({ execution_id: b.executionId, deaths: 1 });
  expect(await claims.claim(b)).toEqual({ type: 'claimed', deaths: 1 });
  await loseAnswer(() => claims.renew(b, leaseMs));
  expect(await claims.renew(b, leaseMs)).toBe(true);
  await loseAnswer(() => claims.storeOutcome(b, outcome('done')));
  expect(await stored(postgres)).toMatchObject({ event_id: 'done' });
  expect(await claims.storeOutcome(b, outcome('done'))).toEqual({ type: 'stored' });
  expect(postgres.proxy.lostAnswers).toBe(3);
});

it("measures leases by the server's clock, whatever the clock here says", async () => {
  const postgres = await opened();
  const claims = openClaims(postgres);
  onTestFinished(() => void vi.useRealTimers());
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(1990, 0) });
  await claims.claim(a);
  vi.setSystemTime(Date.UTC(2090, 0));
  const answer = await openClaims(postgres).claim(b);
  expect(answer.type === 'held' && answer.remainingMs).toBeGreaterThan(leaseMs / 2);
  const { rows } = await postgres.admin.query<{ ahead: number }>(`SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 AS ahead FROM ${postgres.schema}.claims`);
  expect(rows[0]?.ahead).toBeLessThanOrEqual(leaseMs / 1_000);
});

it('knows nothing of the claims of another log', async () => {
  const postgres = await opened();
  const [one, other] = [openClaims(postgres, 'log-1'), openClaims(postgres, 'log-2')];
  await one.claim({ ...a, attempt: 2 });
  await one.storeOutcome({ ...a, attempt: 2 }, outcome('of log 1'));
  expect(await other.claim(b)).toEqual({ type: 'claimed', deaths: 0 });
  expect(await other.renew({ ...a, attempt: 2 }, leaseMs)).toBe(false);
  await other.release({ ...a, attempt: 2 });
  expect(await other.storeOutcome(b, outcome('of log 2'))).toEqual({ type: 'stored' });
  expect(await one.claim(a)).toMatchObject({ type: 'finished', outcome: { eventId: 'of log 1' } });
});

it('commits durably, also for a session whose synchronous_commit is off', async () => {
  const postgres = await opened();
  const url = new URL(postgres.connection.url);
  url.searchParams.set('options', '-c synchronous_commit=off');
  const claims = new PostgresExecutionClaims({ url: url.href, schema: postgres.schema, logIdentity: async () => 'log-1' });
  postgres.closeLater(() => claims.close());
  await claims.claim(a);
  // A deferred trigger sees what holds at the commit.
  await postgres.admin.query(`
    CREATE TABLE ${postgres.schema}.commits (setting text);
    CREATE FUNCTION ${postgres.schema}.note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO ${postgres.schema}.commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON ${postgres.schema}.claims DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION ${postgres.schema}.note()`);
  await claims.claim({ ...a, taskId: 'another' });
  await claims.storeOutcome(a, outcome('done'));
  const { rows } = await postgres.admin.query<{ setting: string }>(`SELECT setting FROM ${postgres.schema}.commits`);
  expect(rows.map(({ setting }) => setting)).toEqual(['on', 'on']);
});

it('fails one call that the server refuses, and not those that travel with it', async () => {
  const postgres = await opened();
  const claims = openClaims(postgres);
  const taskIds = Array.from({ length: 20 }, (_, number) => (number === 7 ? 'no\0text' : `task-${number}`));
  const results = await Promise.allSettled(taskIds.map((taskId) => claims.claim({ ...a, taskId })));
  const failed = results.flatMap((result, number) => (result.status === 'rejected' ? [{ number, reason: result.reason as unknown }] : []));
  expect(failed.map(({ number }) => number)).toEqual([7]);
  expect(failed[0]?.reason).toSatisfy(isRefusal);
});

it('does not call the claims unavailable when the server refuses', async () => {
  const postgres = await opened();
  const claims = openClaims(postgres);
  await claims.claim(a);
  await postgres.admin.query(`ALTER TABLE ${postgres.schema}.claims DROP COLUMN deaths`);
  await expect(claims.claim(b)).rejects.toSatisfy(isRefusal);
});

it('makes its tables once, when many begin at once, and again when they were dropped', async () => {
  const postgres = await opened();
  const all = Array.from({ length: 5 }, () => openClaims(postgres));
  for (let round = 0; round < 2; round += 1) {
    const answers = await Promise.all(all.map((claims, number) => claims.claim({ ...a, executionId: `e-${number}` })));
    expect(answers.filter(({ type }) => type === 'claimed')).toHaveLength(1);
    expect(answers.filter(({ type }) => type === 'held')).toHaveLength(4);
    await postgres.admin.query(`DROP SCHEMA ${postgres.schema} CASCADE`);
  }
});

it('refuses tables that a newer version made', async () => {
  const postgres = await opened();
  await openClaims(postgres).claim(a);
  await postgres.admin.query(`UPDATE ${postgres.schema}.versions SET version = 99; DROP FUNCTION ${postgres.schema}.apply_claims_v1`);
  await expect(openClaims(postgres).claim(b)).rejects.toMatchObject({ code: 'configuration-invalid' });
});

it('gives up on a frozen server in time, does not make everybody wait for it, and recovers by itself', async () => {
  const postgres = await opened();
  const claims = new PostgresExecutionClaims({
    ...postgres.connection, connectTimeoutMs: 300, statementTimeoutMs: 300, logIdentity: async () => 'log-1',
  });
  postgres.closeLater(() => claims.close());
  await claims.claim(a);
  postgres.proxy.freeze();
  const startedMs = performance.now();
  await expect(claims.claim(b)).rejects.toSatisfy(isUnavailable);
  expect(performance.now() - startedMs).toBeLessThan(2_500);
  const restingMs = performance.now();
  await expect(claims.claim(b)).rejects.toSatisfy(isUnavailable);
  expect(performance.now() - restingMs).toBeLessThan(150);
  expect(claims.health().ok).toBe(false);
  postgres.proxy.mend();
  await eventually(async () => (await claims.claim(b)).type === 'held');
  expect(claims.health()).toEqual({ ok: true, detail: 'reachable' });
});

it('removes claims that nobody touched for 7 days, and no others', async () => {
  const postgres = await opened();
  const claims = openClaims(postgres);
  await claims.claim(a);
  await claims.storeOutcome(a, outcome('old'));
  await postgres.admin.query(`
    INSERT INTO ${postgres.schema}.claims (task_id, log_identity, attempt, worker_id, lease_until, deaths, touched_at)
    SELECT 'many-' || number, 'log-9', 1, '', now(), 0, now() FROM generate_series(1, 4500) AS number`);
  await passTime(postgres, 7 * 24 * 3_600_000 - 60_000);
  expect(await claims.prune()).toBe(0);
  await passTime(postgres, 60_001);
  await claims.claim({ ...b, taskId: 'young' });
  expect(await claims.prune()).toBe(4_501);
  expect((await claims.claim({ ...a, taskId: 'young' })).type).toBe('held');
  expect(await claims.claim(b)).toEqual({ type: 'claimed', deaths: 0 });
});

async function opened(): Promise<PostgresUnderTest> {
  const postgres = await PostgresUnderTest.open();
  onTestFinished(() => postgres.close());
  return postgres;
}

async function stored(postgres: PostgresUnderTest): Promise<unknown> {
  const { rows } = await postgres.admin.query<Record<string, unknown>>(`SELECT * FROM ${postgres.schema}.claims`);
  return rows[0];
}

function outcome(eventId: string, completed = true): StoredOutcome {
  return { completed, eventId, record: { key: 'task', headers: [['ce_id', eventId]], value: Buffer.from('{}') } };
}

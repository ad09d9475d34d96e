import { hash } from 'node:crypto';
import { Pool, type Client, type PoolClient, type QueryConfig } from 'pg';
import { DaybookError, messageOf } from '../../domain/errors.ts';
import { tlsAdvice } from '../../ports/tls-advice.ts';
import { PostgresUnreachable, saysUnreachable, sqlStateOf } from './postgres-errors.ts';

export interface PostgresPoolOptions {
  /** `postgres://user:password@host:port/database`, with `sslmode` as libpq means it: `disable`, `require`, `verify-ca`, `verify-full`, the last two with the authority's file in `sslrootcert`. `require` and `prefer` without `sslrootcert` check no certificate: they keep out listeners, not impostors. */
  readonly url: string;
  /** How the server's list of sessions names the connections. */
  readonly applicationName: string;
  /** Connections at once, default 4. They are made on demand, and closed after 10 s without use. */
  readonly maxConnections?: number;
  /** How long making a connection, or waiting for a free one, may take. Default 3,000 ms. */
  readonly connectTimeoutMs?: number;
  /**
   * How long the server may work on one statement, locks included, before it gives up. Default 10,000 ms. A server that
   * does not say so counts as silent a second later, or after twice the time where that is less.
   */
  readonly statementTimeoutMs?: number;
}

/** For the health of a role. The detail never holds the URL. */
export interface PostgresHealth {
  readonly ok: boolean;
  readonly detail: string;
}

export interface PostgresConnection {
  /**
   * One statement with `$1` placeholders. Not to be called while another one runs on the same connection.
   * @throws PostgresUnreachable, or the server's refusal (`DatabaseError` of pg)
   */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryAnswer<Row>>;
  /**
   * As `query`, for a text that comes again and again: each connection has the server parse and plan it once. Only for
   * texts of which there are few, as they are kept.
   */
  repeated<Row = Record<string, unknown>>(text: string, values: readonly unknown[]): Promise<QueryAnswer<Row>>;
  /** Several statements without values, in one message. They are one transaction unless they say otherwise. */
  script(text: string): Promise<void>;
}

export interface QueryAnswer<Row> {
  readonly rows: readonly Row[];
  /** Rows that were returned or changed. */
  readonly count: number;
}

/** Callers that may wait for a connection; a further one is refused at once. */
const maxWaiting = 200;
/** How much longer than the server's own limit, at most, an answer may take before the connection counts as dead. */
const answerGraceMs = 1_000;
/** How old the news of the health may be. */
const probeAfterMs = 1_000;
const firstRestMs = 1_000;
const longestRestMs = 10_000;

/**
 * A few connections to one PostgreSQL. Each call ends within a known time, also when the server is frozen or the
 * network swallows everything: past the answer's time the connection is destroyed.
 *
 * After a time-out the pool rests for a moment, growing from 1 to 10 s, in which calls are refused at once: a server
 * that swallows everything would otherwise cost every caller the whole time-out.
 */
export class PostgresPool {
  readonly #pool: Pool;
  readonly #clients = new Set<Client>();
  readonly #connectTimeoutMs: number;
  readonly #answerTimeoutMs: number;
  #trouble: string | null = 'not asked yet';
  #askedMs = -Infinity;
  #probing = false;
  #restMs = 0;
  #restUntilMs = 0;
  #closed = false;
  #onGone: () => void = () => undefined;

  constructor(options: PostgresPoolOptions) {
    const { url, applicationName, maxConnections = 4, connectTimeoutMs = 3_000, statementTimeoutMs = 10_000 } = options;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#answerTimeoutMs = statementTimeoutMs + Math.min(answerGraceMs, statementTimeoutMs);
    this.#pool = new Pool({
      connectionString: withLibpqMeaning(url),
      application_name: applicationName,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      // A client that froze inside a transaction must not keep its locks from everybody else.
      idle_in_transaction_session_timeout: statementTimeoutMs,
      keepAlive: true,
    });
    this.#pool.on('connect', (client) => this.#follow(client));
    // An idle connection broke. The pool has dropped it, and the next call makes another one.
    this.#pool.on('error', (error) => (this.#trouble = describe(error)));
  }

  /**
   * Runs `work` on a connection of its own.
   * @throws PostgresUnreachable, DaybookError `stopped` after `close`, what the server refuses, what `work` throws
   */
  async use<Result>(work: (connection: PostgresConnection) => Promise<Result>): Promise<Result> {
    this.#askedMs = performance.now();
    const client = await this.#connect();
    const connection = new Connection(client, this.#answerTimeoutMs);
    try {
      const result = await work(connection);
      this.#noteAnswer();
      return result;
    } catch (error) {
      if (!(error instanceof PostgresUnreachable)) this.#noteAnswer();
      else this.#noteSilence(error, connection.timedOut);
      throw error;
    } finally {
      connection.release();
    }
  }

  /** Runs `work` in a transaction, on a connection of its own; see `inTransaction`. */
  transaction<Result>(work: (connection: PostgresConnection) => Promise<Result>, begin?: string): Promise<Result> {
    return this.use((connection) => inTransaction(connection, work, begin));
  }

  /**
   * What the last call met. When that is a while ago, another one is made, for the next answer: a server that went or
   * came back is noticed also by those who have nothing to ask.
   */
  health(): PostgresHealth {
    if (!this.#probing && !this.#closed && performance.now() - this.#askedMs > probeAfterMs) void this.#probe();
    return this.#trouble === null ? { ok: true, detail: 'reachable' } : { ok: false, detail: this.#trouble };
  }

  /** Lets running calls end within the deadline, default 2,000 ms; then every connection is cut. Idempotent. */
  async close(deadlineMs = 2_000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const gone = new Promise<void>((resolve) => (this.#onGone = resolve));
    void this.#pool.end().then(() => this.#clients.size === 0 && this.#onGone());
    await settledWithin(deadlineMs, gone);
    // A server that is frozen never says goodbye.
    for (const client of this.#clients) cut(client);
  }

  async #connect(): Promise<PoolClient> {
    if (this.#closed) throw new DaybookError('stopped', 'the connections to PostgreSQL are closed');
    const nowMs = performance.now();
    if (nowMs < this.#restUntilMs) throw new PostgresUnreachable(`PostgreSQL is not asked for another ${Math.ceil(this.#restUntilMs - nowMs)} ms: ${this.#trouble}`);
    if (this.#pool.waitingCount >= maxWaiting) throw new PostgresUnreachable(`${maxWaiting} calls wait for a connection to PostgreSQL already`);
    try {
      return await this.#pool.connect();
    } catch (cause) {
      // What the server says to a login is its answer; everything else kept us from asking.
      if (sqlStateOf(cause) !== null && !saysUnreachable(cause)) {
        this.#trouble = `PostgreSQL refuses the login: ${describe(cause)}; ${loginAdvice(cause)}`;
        throw cause;
      }
      const error = new PostgresUnreachable(`PostgreSQL cannot be reached: ${describe(cause)}${reachAdvice(cause)}`, { cause });
      this.#noteSilence(error, performance.now() - nowMs >= this.#connectTimeoutMs);
      throw error;
    }
  }

  #follow(client: PoolClient): void {
    this.#clients.add(client);
    client.once('end', () => {
      this.#clients.delete(client);
      if (this.#clients.size === 0) this.#onGone();
    });
  }

  /** Whatever it meets is noted by `use`. */
  async #probe(): Promise<void> {
    this.#probing = true;
    await this.use((connection) => connection.query('SELECT 1')).catch(() => undefined);
    this.#probing = false;
  }

  #noteAnswer(): void {
    this.#trouble = null;
    this.#restMs = 0;
  }

  #noteSilence(error: PostgresUnreachable, timedOut: boolean): void {
    this.#trouble = error.message;
    if (!timedOut) return;
    this.#restMs = Math.min(longestRestMs, Math.max(firstRestMs, this.#restMs * 2));
    this.#restUntilMs = performance.now() + this.#restMs;
  }
}

/**
 * Runs `work` in a transaction: committed when it returns, rolled back when it throws.
 * @param begin the statement that begins it, and what must come before everything else
 * @throws PostgresUnreachable, when the COMMIT had no answer: it is not known whether it took effect
 */
export async function inTransaction<Result>(
  connection: PostgresConnection,
  work: (connection: PostgresConnection) => Promise<Result>,
  begin = 'BEGIN',
): Promise<Result> {
  try {
    await connection.script(begin);
    const result = await work(connection);
    await connection.script('COMMIT');
    return result;
  } catch (error) {
    // On a broken connection the server rolls back by itself.
    if (!(error instanceof PostgresUnreachable)) await connection.script('ROLLBACK');
    throw error;
  }
}

/** A connection while one caller uses it. */
class Connection implements PostgresConnection {
  readonly #client: PoolClient;
  readonly #answerTimeoutMs: number;
  /** It is of no use any more. */
  #broken = false;
  #timedOut = false;

  constructor(client: PoolClient, answerTimeoutMs: number) {
    this.#client = client;
    this.#answerTimeoutMs = answerTimeoutMs;
    client.on('error', this.#onBreak);
  }

  /** Whether an answer did not come in time. */
  get timedOut(): boolean {
    return this.#timedOut;
  }

  query<Row>(text: string, values: readonly unknown[] = []): Promise<QueryAnswer<Row>> {
    return this.#answer({ text, values: [...values] });
  }

  repeated<Row>(text: string, values: readonly unknown[]): Promise<QueryAnswer<Row>> {
    // By its name the server knows a statement again: it is sent the values alone.
    return this.#answer({ name: hash('sha1', text), text, values: [...values] });
  }

  async script(text: string): Promise<void> {
    await this.#ask(() => this.#client.query(text));
  }

  /** Back to the pool, or away when it is broken or in the middle of a transaction. */
  release(): void {
    this.#client.off('error', this.#onBreak);
    this.#client.release(this.#broken || this.#client.getTransactionStatus() !== 'I');
  }

  async #answer<Row>(statement: QueryConfig): Promise<QueryAnswer<Row>> {
    const { rows, rowCount } = await this.#ask(() => this.#client.query(statement));
    return { rows: rows as Row[], count: rowCount ?? 0 };
  }

  async #ask<Answer>(send: () => Promise<Answer>): Promise<Answer> {
    const timer = setTimeout(() => {
      this.#timedOut = true;
      cut(this.#client);
    }, this.#answerTimeoutMs);
    try {
      return await send();
    } catch (cause) {
      if (saysUnreachable(cause)) this.#broken = true;
      else if (sqlStateOf(cause) !== null || !this.#broken) throw cause;
      const what = this.#timedOut ? `did not answer within ${this.#answerTimeoutMs} ms` : `gave no answer: ${describe(cause)}`;
      throw new PostgresUnreachable(`PostgreSQL ${what}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Comes before the query that runs is rejected. */
  readonly #onBreak = (): void => {
    this.#broken = true;
  };
}

function cut(client: Client): void {
  client.connection.stream.destroy();
}

/**
 * Without this, pg takes `require` and `verify-ca` for `verify-full`, and says on stderr that this will change.
 * Operators know these words from libpq.
 */
function withLibpqMeaning(url: string): string {
  // Node's own error would show the URL, and with it the password.
  if (!URL.canParse(url)) throw new DaybookError('configuration-invalid', 'the PostgreSQL URL must read postgres://user:password@host:port/database');
  const parsed = new URL(url);
  const { searchParams } = parsed;
  if (searchParams.has('sslmode') && searchParams.get('sslmode') !== 'no-verify') searchParams.set('uselibpqcompat', 'true');
  return parsed.href;
}

/** Never the URL: it holds the password. A refused connection to several addresses has its reasons in `errors`. */
function describe(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(describe).join('; ');
  return messageOf(error);
}

/** Read models and claims may have a URL each. */
const urlSettings = 'DAYBOOK_POSTGRES_URL or DAYBOOK_CLAIMS_URL';

function loginAdvice(error: unknown): string {
  // Its rules have no entry for this host and user, or only one for the other kind of connection.
  if (sqlStateOf(error) === '28000') return `look at sslmode in ${urlSettings}, and at the server's pg_hba.conf`;
  return `look at the name, the password and the database in ${urlSettings}`;
}

function reachAdvice(error: unknown): string {
  const advice = tlsAdvice(error, { address: urlSettings, authority: `sslrootcert in ${urlSettings}`, tls: `sslmode in ${urlSettings}` });
  if (advice !== null) return `; ${advice}`;
  if (error instanceof Error && error.message === 'The server does not support SSL connections') return `; look at sslmode in ${urlSettings}`;
  const isFile = error instanceof Error && 'syscall' in error && error.syscall === 'open';
  return isFile ? `; look at sslrootcert, sslcert and sslkey in ${urlSettings}` : '';
}

async function settledWithin(waitMs: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, waitMs)));
  await Promise.race([promise, deadline]);
  clearTimeout(timer);
}

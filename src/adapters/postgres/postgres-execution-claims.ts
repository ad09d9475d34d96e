import { DaybookError, hasCode } from '../../domain/errors.ts';
import type { LogRecord } from '../../domain/log-record.ts';
import type {
  ClaimAnswer, ClaimedExecution, ClaimRequest, ExecutionClaims, StoreAnswer, StoredOutcome,
} from '../../ports/execution-claims.ts';
import { CallBatcher } from './call-batcher.ts';
import { applyClaims, claimsPart } from './postgres-claims-schema.ts';
import { PostgresUnreachable, saysMissing, saysRace, sqlStateOf } from './postgres-errors.ts';
import { PostgresPool, type PostgresHealth, type PostgresPoolOptions } from './postgres-pool.ts';
import { defaultSchema, preparePart, qualified } from './postgres-schema.ts';

export interface PostgresExecutionClaimsOptions extends Pick<PostgresPoolOptions, 'url' | 'connectTimeoutMs' | 'statementTimeoutMs'> {
  /** Default `daybook`. It is made when it is missing. */
  readonly schema?: string;
  /** Identifies the log whose attempts these are; asked for each batch. Rows of another log do not exist. */
  readonly logIdentity: () => Promise<string>;
}

/** How often a batch that another worker's transaction came between is sent again. */
const raceAttempts = 3;
const keepDays = 7;
const prunePage = 2_000;

/**
 * Claims in PostgreSQL, shared by every worker.
 *
 * The calls of a moment travel as one statement, which is its own transaction: no lock is held while a client thinks,
 * freezes or dies. Leases are set and compared by the server's clock. A statement whose answer was lost is
 * `claims-unavailable`, and may have taken effect; the same call made again is answered as if it were the first one.
 *
 * Only a connection that fails and an answer that does not come in time are `claims-unavailable`. What the server
 * refuses (a missing right, say) passes on as it is: running everything unguarded would hide it.
 */
export class PostgresExecutionClaims implements ExecutionClaims {
  readonly guards = true;
  readonly #schema: string;
  readonly #logIdentity: () => Promise<string>;
  readonly #pool: PostgresPool;
  readonly #batcher: CallBatcher<ClaimsCall, AnswerRow>;

  constructor({ schema = defaultSchema, logIdentity, ...options }: PostgresExecutionClaimsOptions) {
    this.#schema = schema;
    this.#logIdentity = logIdentity;
    // One connection for the batches, one for pruning. The time-outs are short beside a lease.
    this.#pool = new PostgresPool({ applicationName: 'daybook claims', maxConnections: 2, statementTimeoutMs: 3_000, ...options });
    this.#batcher = new CallBatcher((calls) => this.#send(calls), {
      isRefusal: (error) => sqlStateOf(error) !== null,
      notSent: (why) => unavailable(why),
    });
  }

  async claim({ taskId, attempt, executionId, workerId, leaseMs }: ClaimRequest): Promise<ClaimAnswer> {
    const row = await this.#call({ kind: 'claim', ...keyOf({ taskId, attempt, executionId }), worker_id: workerId, lease_ms: leaseMs });
    switch (row.answer) {
      case 'claimed':
        return { type: 'claimed', deaths: row.earlier_deaths ?? 0 };
      case 'held':
        return { type: 'held', remainingMs: row.remaining_ms ?? 0 };
      case 'finished':
        return { type: 'finished', outcome: outcomeOf(row) };
      case 'superseded':
        return { type: 'superseded' };
      default:
        throw unexpected(row);
    }
  }

  async renew(execution: ClaimedExecution, leaseMs: number): Promise<boolean> {
    const row = await this.#call({ kind: 'renew', ...keyOf(execution), lease_ms: leaseMs });
    return row.answer === 'held';
  }

  /** Stores also for an execution without a claim (it was pruned, or the store was away), when nobody else holds the attempt. */
  async storeOutcome(execution: ClaimedExecution, { completed, eventId, record }: StoredOutcome): Promise<StoreAnswer> {
    const value = Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength).toString('base64');
    const head = JSON.stringify([record.key, record.headers]);
    const row = await this.#call({ kind: 'store', ...keyOf(execution), completed, event_id: eventId, head, value }, head.length + value.length);
    switch (row.answer) {
      case 'stored':
      case 'superseded':
        return { type: row.answer };
      case 'other-outcome':
        return { type: 'other-outcome', outcome: outcomeOf(row) };
      default:
        throw unexpected(row);
    }
  }

  async release(execution: ClaimedExecution): Promise<void> {
    await this.#call({ kind: 'release', ...keyOf(execution) });
  }

  /**
   * Removes claims, of any log, that were taken, renewed or ended more than 7 days ago, a page at a time. Returns their
   * number. A job that comes back later than that runs again, as after any loss of the claims. Claims that are being
   * written at the moment are passed over.
   */
  async prune(): Promise<number> {
    let after: PageEnd = { task_id: '', log_identity: '', attempt: 0 };
    for (let removed = 0; ; ) {
      const page = await this.#guarded(() => this.#prunePage(after));
      if (!page) return removed;
      removed += page.removed;
      after = page;
    }
  }

  health(): PostgresHealth {
    return this.#pool.health();
  }

  /** What was called before settles first, within the time-outs. Idempotent. */
  async close(): Promise<void> {
    await this.#batcher.close();
    await this.#pool.close();
  }

  #call(call: ClaimsCall, bytes = 0): Promise<AnswerRow> {
    return this.#batcher.call(call, bytes);
  }

  /** Sends a batch, again when another transaction came between: then nothing of it took effect. */
  async #send(calls: readonly ClaimsCall[]): Promise<readonly AnswerRow[]> {
    const numbered = JSON.stringify(calls.map((call, place) => ({ place, ...call })));
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#guarded(() => this.#apply(numbered));
      } catch (error) {
        if (!saysRace(error) || attempt === raceAttempts) throw error;
      }
    }
  }

  async #apply(calls: string): Promise<readonly AnswerRow[]> {
    const identity = await this.#logIdentity();
    const text = `SELECT * FROM ${qualified(this.#schema, applyClaims)}($1, $2::json) ORDER BY place`;
    const { rows } = await this.#pool.use((connection) => connection.repeated<AnswerRow>(text, [identity, calls]));
    return rows;
  }

  async #prunePage(after: PageEnd): Promise<(PageEnd & { readonly removed: number }) | undefined> {
    const claims = qualified(this.#schema, 'claims');
    const key = 'task_id, log_identity, attempt';
    const text = `
      WITH page AS (SELECT ${key} FROM ${claims} WHERE (${key}) > ($1, $2, $3) ORDER BY ${key} LIMIT ${prunePage}),
      old AS (
        SELECT ${key} FROM ${claims} JOIN page USING (${key})
        WHERE touched_at < clock_timestamp() - interval '${keepDays} days' FOR UPDATE OF claims SKIP LOCKED),
      gone AS (DELETE FROM ${claims} WHERE (${key}) IN (SELECT ${key} FROM old) RETURNING 1)
      SELECT ${key}, (SELECT count(*)::integer FROM gone) AS removed FROM page ORDER BY task_id DESC, log_identity DESC, attempt DESC LIMIT 1`;
    const values = [after.task_id, after.log_identity, after.attempt];
    const { rows } = await this.#pool.use((connection) => connection.query<PageEnd & { removed: number }>(text, values));
    return rows[0];
  }

  /** Makes the tables when they are not there: at first, and after somebody dropped them. Claims may be lost, they are no truth. */
  async #guarded<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work().catch(async (error: unknown) => {
        if (!saysMissing(error)) throw error;
        await preparePart(this.#pool, this.#schema, claimsPart);
        return work();
      });
    } catch (cause) {
      if (cause instanceof PostgresUnreachable) throw unavailable(cause.message, cause);
      // The log's identity is not known yet, or the connections are closed: nothing was asked.
      if (hasCode(cause, 'log-unavailable') || hasCode(cause, 'stopped')) throw unavailable(cause.message, cause);
      throw cause;
    }
  }
}

/** As the function in the database reads it. */
interface ClaimsCall {
  readonly kind: 'claim' | 'renew' | 'store' | 'release';
  readonly task_id: string;
  readonly attempt: number;
  readonly execution_id: string;
  readonly worker_id?: string;
  readonly lease_ms?: number;
  readonly completed?: boolean;
  readonly event_id?: string;
  readonly head?: string;
  readonly value?: string;
}

interface AnswerRow {
  readonly place: number;
  readonly answer: string | null;
  readonly earlier_deaths: number | null;
  readonly remaining_ms: number | null;
  readonly outcome_completed: boolean | null;
  readonly outcome_event_id: string | null;
  readonly outcome_head: string | null;
  readonly outcome_value: Buffer | null;
}

interface PageEnd {
  readonly task_id: string;
  readonly log_identity: string;
  readonly attempt: number;
}

function keyOf({ taskId, attempt, executionId }: ClaimedExecution): Pick<ClaimsCall, 'task_id' | 'attempt' | 'execution_id'> {
  return { task_id: taskId, attempt, execution_id: executionId };
}

function outcomeOf({ outcome_completed, outcome_event_id, outcome_head, outcome_value }: AnswerRow): StoredOutcome {
  if (outcome_event_id === null || outcome_head === null || outcome_value === null) throw new Error('the stored outcome cannot be read');
  const [key, headers] = JSON.parse(outcome_head) as [string, LogRecord['headers']];
  return { completed: outcome_completed === true, eventId: outcome_event_id, record: { key, headers, value: outcome_value } };
}

function unavailable(why: string, cause?: unknown): DaybookError {
  return new DaybookError('claims-unavailable', `The claims did not confirm: ${why}`, { cause });
}

function unexpected({ answer }: AnswerRow): Error {
  return new Error(`the claims answered '${String(answer)}', which is no answer to this call`);
}

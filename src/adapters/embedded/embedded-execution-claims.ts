import type { StatementSync } from 'node:sqlite';
import { DaybookError } from '../../domain/errors.ts';
import type {
  ClaimAnswer, ClaimedExecution, ClaimRequest, ExecutionClaims, StoreAnswer, StoredOutcome,
} from '../../ports/execution-claims.ts';
import type { EmbeddedStore } from './embedded-store.ts';
import { decodeRecord, encodeRecord } from './log-rows.ts';

const keepMs = 7 * 24 * 3_600_000;
const prunePage = 500;

/**
 * Claims in the data folder's file, one row per attempt.
 *
 * A lease is the word of this process about its own workers: it counts in the epoch of this opening of the file only,
 * and by the monotonic clock, so that setting the clock neither ends nor prolongs it. Leases of a former process are
 * over, because the folder's lock proves that it is gone.
 *
 * Two guards hold one completion per task: the operations look at the whole task, and a unique index would refuse a
 * second one even if they did not.
 */
export class EmbeddedExecutionClaims implements ExecutionClaims {
  readonly guards = true;
  readonly #store: EmbeddedStore;
  readonly #selectTask: StatementSync;
  readonly #insert: StatementSync;
  readonly #take: StatementSync;
  readonly #renew: StatementSync;
  readonly #storeOutcome: StatementSync;
  readonly #release: StatementSync;
  readonly #selectOldest: StatementSync;
  readonly #delete: StatementSync;

  constructor(store: EmbeddedStore) {
    this.#store = store;
    const { database } = store;
    this.#selectTask = database.prepare(`
      SELECT id, attempt, execution_id, lease_epoch, lease_end_ms, deaths, completed, event_id, record
      FROM claims WHERE task_id = ?`);
    this.#insert = database.prepare(`
      INSERT INTO claims (execution_id, worker_id, lease_epoch, lease_end_ms, deaths, touched_ms, task_id, attempt)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#take = database.prepare(`
      UPDATE claims SET execution_id = ?, worker_id = ?, lease_epoch = ?, lease_end_ms = ?, deaths = ?, touched_ms = ?
      WHERE id = ?`);
    this.#renew = database.prepare(`
      UPDATE claims SET lease_epoch = ?, lease_end_ms = ?, touched_ms = ?
      WHERE task_id = ? AND attempt = ? AND execution_id = ? AND event_id IS NULL`);
    this.#storeOutcome = database.prepare('UPDATE claims SET completed = ?, event_id = ?, record = ?, touched_ms = ? WHERE id = ? AND event_id IS NULL');
    this.#release = database.prepare(`
      UPDATE claims SET execution_id = NULL
      WHERE task_id = ? AND attempt = ? AND execution_id = ? AND event_id IS NULL`);
    this.#selectOldest = database.prepare('SELECT id, touched_ms FROM claims WHERE id > ? ORDER BY id LIMIT ?');
    this.#delete = database.prepare('DELETE FROM claims WHERE id = ?');
  }

  /**
   * An execution that asks again for what it holds gets it again, with a fresh lease: its first answer may have been
   * lost as `claims-unavailable`.
   */
  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#run(() => {
      const rows = this.#rowsOf(request.taskId);
      const answer = claimAnswer(rows, request, this.#nowMs(), this.#store.epoch);
      if (answer.type === 'claimed') this.#save(rowOf(rows, request.attempt), request, answer.deaths);
      return answer;
    });
  }

  renew({ taskId, attempt, executionId }: ClaimedExecution, leaseMs: number): Promise<boolean> {
    return this.#run(() => {
      const { epoch, clock } = this.#store;
      return this.#renew.run(epoch, this.#nowMs() + leaseMs, clock.nowMs(), taskId, attempt, executionId).changes === 1;
    });
  }

  /** Stores also for an execution without a claim (it was pruned, or the store was away), when nobody else holds the attempt. */
  storeOutcome(execution: ClaimedExecution, outcome: StoredOutcome): Promise<StoreAnswer> {
    const record = encodeRecord(outcome.record);
    return this.#run(() => {
      const rows = this.#rowsOf(execution.taskId);
      const answer = storeAnswer(rows, execution, outcome);
      if (answer !== 'store') return answer;
      const id = rowOf(rows, execution.attempt)?.id ?? this.#save(undefined, { ...execution, workerId: '', leaseMs: 0 }, 0);
      this.#storeOutcome.run(outcome.completed ? 1 : 0, outcome.eventId, record, this.#store.clock.nowMs(), id);
      return { type: 'stored' };
    }, record.length);
  }

  async release({ taskId, attempt, executionId }: ClaimedExecution): Promise<void> {
    await this.#run(() => this.#release.run(taskId, attempt, executionId));
  }

  /**
   * Removes claims that were taken, renewed or ended more than 7 days ago, in short transactions. Returns their number.
   * A job that comes back later than that runs again, as after any loss of the claims.
   */
  async prune(): Promise<number> {
    const beforeMs = this.#store.clock.nowMs() - keepMs;
    for (let pruned = 0, after = 0; ; ) {
      const page = await this.#run(() => this.#prunePage(after, beforeMs));
      pruned += page.deleted;
      if (page.lastId === null) return pruned;
      after = page.lastId;
    }
  }

  /** Rows stand in the order of their first claim, so a page without an old one ends the walk. */
  #prunePage(after: number, beforeMs: number): { deleted: number; lastId: number | null } {
    const rows = this.#selectOldest.all(after, prunePage);
    const old = rows.filter((row) => Number(row['touched_ms']) < beforeMs);
    for (const row of old) this.#delete.run(Number(row['id']));
    const atEnd = rows.length < prunePage || old.length === 0;
    return { deleted: old.length, lastId: atEnd ? null : Number(rows.at(-1)?.['id']) };
  }

  /** Writes who holds an attempt, into its row or a new one; returns the row's id. */
  #save(row: ClaimRow | undefined, request: ClaimRequest, deaths: number): number {
    const { taskId, attempt, executionId, workerId, leaseMs } = request;
    const holder = [executionId, workerId, this.#store.epoch, this.#nowMs() + leaseMs, deaths, this.#store.clock.nowMs()] as const;
    if (!row) return Number(this.#insert.run(...holder, taskId, attempt).lastInsertRowid);
    this.#take.run(...holder, row.id);
    return row.id;
  }

  #rowsOf(taskId: string): ClaimRow[] {
    return this.#selectTask.all(taskId) as unknown as ClaimRow[];
  }

  #nowMs(): number {
    return Math.round(this.#store.clock.monotonicMs());
  }

  async #run<Result>(operation: () => Result, bytes = 0): Promise<Result> {
    try {
      return await this.#store.commits.run(operation, bytes);
    } catch (cause) {
      throw new DaybookError('claims-unavailable', `The claims did not confirm: ${String(cause)}`, { cause });
    }
  }
}

interface ClaimRow {
  readonly id: number;
  readonly attempt: number;
  /** Null after a release: nobody holds the attempt. */
  readonly execution_id: string | null;
  readonly lease_epoch: number;
  readonly lease_end_ms: number;
  readonly deaths: number;
  readonly completed: 0 | 1 | null;
  readonly event_id: string | null;
  readonly record: Uint8Array | null;
}

/** The rules of claiming, in the order in which they win. */
function claimAnswer(rows: readonly ClaimRow[], request: ClaimRequest, nowMs: number, epoch: number): ClaimAnswer {
  const completion = rows.find((row) => row.completed === 1);
  if (completion) return { type: 'finished', outcome: outcomeOf(completion) };
  if (rows.some((row) => row.attempt > request.attempt)) return { type: 'superseded' };
  const row = rowOf(rows, request.attempt);
  if (!row) return { type: 'claimed', deaths: 0 };
  if (row.event_id !== null) return { type: 'finished', outcome: outcomeOf(row) };
  if (row.execution_id === null || row.execution_id === request.executionId) return { type: 'claimed', deaths: row.deaths };
  const remainingMs = row.lease_epoch === epoch ? row.lease_end_ms - nowMs : 0;
  return remainingMs > 0 ? { type: 'held', remainingMs } : { type: 'claimed', deaths: row.deaths + 1 };
}

/** The rules of storing an outcome. `store`: it is the first of its attempt, and may become its outcome. */
function storeAnswer(rows: readonly ClaimRow[], execution: ClaimedExecution, outcome: StoredOutcome): StoreAnswer | 'store' {
  const own = rowOf(rows, execution.attempt);
  const decided = rows.find((row) => row.completed === 1) ?? (own?.event_id != null ? own : undefined);
  if (decided) {
    return decided.event_id === outcome.eventId ? { type: 'stored' } : { type: 'other-outcome', outcome: outcomeOf(decided) };
  }
  const heldByAnother = own !== undefined && own.execution_id !== null && own.execution_id !== execution.executionId;
  return heldByAnother && !outcome.completed ? { type: 'superseded' } : 'store';
}

function rowOf(rows: readonly ClaimRow[], attempt: number): ClaimRow | undefined {
  return rows.find((row) => row.attempt === attempt);
}

function outcomeOf({ completed, event_id: eventId, record }: ClaimRow): StoredOutcome {
  const decoded = record && decodeRecord(record);
  if (eventId === null || !decoded) throw new Error(`The stored outcome ${String(eventId)} cannot be read`);
  return { completed: completed === 1, eventId, record: decoded };
}

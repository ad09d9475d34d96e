import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { messageOf } from '../../domain/errors.ts';
import { isStorageFailure } from './sqlite-database.ts';

/**
 * Runs operations of many callers in one transaction, so that they share one fsync.
 *
 * - What was queued while the former transaction ran makes the next one; no timer, no waiting for company.
 * - An operation settles only after the COMMIT that holds it. What it changed in memory beyond its transaction would
 *   survive a rollback, so operations change nothing but the database; participants keep what follows from them.
 * - An operation that throws fails alone: the transaction is rolled back and run again without it. This is the rare
 *   path (expected results are values), so the hot path pays for no savepoints.
 * - When the storage fails (a full or broken disk, a failed BEGIN or COMMIT) every operation of the transaction fails
 *   as not known, and the next transaction tries again: there is nothing to reset.
 * - One thread, one connection, one transaction at a time.
 */
export class GroupCommit {
  readonly #database: DatabaseSync;
  readonly #limits: GroupCommitLimits;
  readonly #participants: CommitParticipant[] = [];
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  #queue: Entry[] = [];
  #queuedBytes = 0;
  #flushing: NodeJS.Immediate | undefined;
  #closed = false;
  readonly #onIdle: (() => void)[] = [];

  constructor(database: DatabaseSync, limits: Partial<GroupCommitLimits> = {}) {
    this.#database = database;
    this.#limits = { ...defaultLimits, ...limits };
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#rollback = database.prepare('ROLLBACK');
  }

  /** Lets a participant follow every transaction from now on. */
  join(participant: CommitParticipant): void {
    this.#participants.push(participant);
  }

  /**
   * Queues an operation; operations run in the order of their calls. It may run more than once, of which the last
   * run counts.
   * @param bytes about how much it writes, for the bounds on batches and queue
   * @throws CommitError, or what the operation threw
   */
  run<Result>(operation: () => Result, bytes = 0): Promise<Result> {
    const refusal = this.#refusal(bytes);
    if (refusal) return Promise.reject(refusal);
    return new Promise<Result>((resolve, reject) => {
      const entry = { operation, bytes, queuedMs: performance.now(), resolve, reject, result: undefined, error: undefined };
      this.#queue.push(entry as Entry);
      this.#queuedBytes += bytes;
      this.#flushing ??= setImmediate(this.#flush);
    });
  }

  /** Takes nothing more and resolves when everything queued has settled. Idempotent. */
  close(): Promise<void> {
    this.#closed = true;
    if (!this.#flushing) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #refusal(bytes: number): CommitError | undefined {
    if (this.#closed) return new CommitError('closed', 'The store was closed');
    const { maxQueued, maxQueuedBytes } = this.#limits;
    if (this.#queue.length < maxQueued && this.#queuedBytes + bytes <= maxQueuedBytes) return undefined;
    return new CommitError('full', `${this.#queue.length} operations (${this.#queuedBytes} bytes) wait for the disk already`);
  }

  readonly #flush = (): void => {
    const batch = this.#takeBatch();
    if (batch.length > 0) this.#commitBatch(batch);
    // Operations that were queued meanwhile get the next turn of the event loop, so that callers are never starved.
    this.#flushing = this.#queue.length > 0 ? setImmediate(this.#flush) : undefined;
    if (!this.#flushing) for (const resolve of this.#onIdle.splice(0)) resolve();
  };

  #takeBatch(): Entry[] {
    const { maxBatch, maxBatchBytes, maxWaitMs } = this.#limits;
    const oldestMs = performance.now() - maxWaitMs;
    const batch: Entry[] = [];
    let bytes = 0;
    let taken = 0;
    for (const entry of this.#queue) {
      if (batch.length === maxBatch || (batch.length > 0 && bytes + entry.bytes > maxBatchBytes)) break;
      taken += 1;
      this.#queuedBytes -= entry.bytes;
      if (entry.queuedMs < oldestMs) {
        entry.reject(new CommitError('late', `The disk was busy for more than ${maxWaitMs} ms`));
        continue;
      }
      batch.push(entry);
      bytes += entry.bytes;
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken);
    return batch;
  }

  #commitBatch(batch: readonly Entry[]): void {
    let remaining = batch;
    try {
      // Each turn takes one operation away, so the loop is bounded by the batch.
      for (let failing = this.#tryCommit(remaining); failing; failing = this.#tryCommit(remaining)) {
        const failed = failing;
        remaining = remaining.filter((entry) => entry !== failed);
        failed.reject(failed.error);
      }
    } catch (cause) {
      this.#rollBack();
      const error = new CommitError('failed', `The disk did not take the transaction: ${messageOf(cause)}`, { cause });
      for (const entry of remaining) entry.reject(error);
      return;
    }
    for (const entry of remaining) entry.resolve(entry.result);
  }

  /** Commits all, or rolls back and returns the operation that threw. Throws when the storage fails. */
  #tryCommit(entries: readonly Entry[]): Entry | undefined {
    if (entries.length === 0) return undefined;
    // A rollback that failed on a broken disk is made up for here.
    if (this.#database.isTransaction) this.#rollback.run();
    this.#begin.run();
    for (const participant of this.#participants) participant.begin();
    for (const entry of entries) {
      try {
        entry.result = entry.operation();
      } catch (error) {
        if (isStorageFailure(error) || !this.#database.isTransaction) throw error;
        entry.error = error;
        this.#rollBack();
        return entry;
      }
    }
    for (const participant of this.#participants) participant.beforeCommit();
    this.#commit.run();
    for (const participant of this.#participants) participant.committed();
    return undefined;
  }

  #rollBack(): void {
    for (const participant of this.#participants) participant.rolledBack();
    try {
      if (this.#database.isTransaction) this.#rollback.run();
    } catch {
      // The disk that failed the transaction fails its rollback too. The next transaction begins with another try,
      // and until one succeeds nothing is committed.
    }
  }
}

/** Follows the transactions: prepares with the operations, and makes public what was committed. Must not throw after the COMMIT. */
export interface CommitParticipant {
  /** A transaction begins, perhaps the same one once more: what a former run prepared is void. */
  begin(): void;
  /** The last writes of the transaction. */
  beforeCommit(): void;
  /** It is durable. Comes before any of its operations settles. */
  committed(): void;
  /** Nothing of the transaction stays. */
  rolledBack(): void;
}

export interface GroupCommitLimits {
  /** Operations in one transaction. */
  readonly maxBatch: number;
  /** Bytes in one transaction; a single larger operation still gets its own. */
  readonly maxBatchBytes: number;
  /** Operations that may wait; a further one is refused at once. */
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  /** An operation that waited longer in the queue is refused without being run. */
  readonly maxWaitMs: number;
}

const defaultLimits: GroupCommitLimits = {
  maxBatch: 1_024,
  maxBatchBytes: 4 * 1024 * 1024,
  maxQueued: 20_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxWaitMs: 4_000,
};

/**
 * - `full`, `late`, `closed`: the operation was not run.
 * - `failed`: the storage failed; it is not known whether the operation took effect.
 */
export class CommitError extends Error {
  readonly reason: 'full' | 'late' | 'closed' | 'failed';

  constructor(reason: CommitError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommitError';
    this.reason = reason;
  }
}

interface Entry {
  readonly operation: () => unknown;
  readonly bytes: number;
  readonly queuedMs: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  result: unknown;
  error: unknown;
}

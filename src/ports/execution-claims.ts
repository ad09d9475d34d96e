import type { LogRecord } from '../domain/log-record.ts';

/**
 * A guard against running an attempt twice. It is not the truth, the log is: losing every claim costs surplus
 * executions, never a task.
 *
 * Durability: a call that resolved survives a crash of the store.
 * Atomicity: each call is one transaction; of two concurrent ones on a task, one comes first.
 * Time: leases are set and compared by the store's clock alone.
 * Every call may throw DaybookError `claims-unavailable`: not known whether it took effect.
 */
export interface ExecutionClaims {
  /** False for the adapter that guards nothing; `TaskExecutionStarted` says so. */
  readonly guards: boolean;

  /**
   * Asks to run an attempt. Looks at the whole task, not only at the attempt. Asking again with the same execution id
   * is answered `claimed` again: a call whose answer was lost may be repeated.
   */
  claim(request: ClaimRequest): Promise<ClaimAnswer>;

  /** Prolongs the lease. False when the execution holds the attempt no more: it must not run on. */
  renew(execution: ClaimedExecution, leaseMs: number): Promise<boolean>;

  /**
   * Stores how the execution ended, before it is appended to the log; the first one stored is the attempt's outcome.
   * - `stored`: this is the outcome now (or was already, from an earlier call with the same event id).
   * - `other-outcome`: the attempt, or the whole task by a completion, has the given outcome already.
   * - `superseded`: another execution holds the attempt; a failure of this one counts for nothing. A completion is
   *   stored even then: the work was done.
   */
  storeOutcome(execution: ClaimedExecution, outcome: StoredOutcome): Promise<StoreAnswer>;

  /**
   * Takes the claim back when the execution will not end here: its start was not recorded, or an orderly shutdown
   * broke it off. It does not count as a death; earlier deaths of the attempt
   * stay counted. Does nothing when the execution does not hold the claim.
   */
  release(execution: ClaimedExecution): Promise<void>;
}

export interface ClaimRequest {
  readonly taskId: string;
  readonly attempt: number;
  readonly executionId: string;
  readonly workerId: string;
  readonly leaseMs: number;
}

export interface ClaimedExecution {
  readonly taskId: string;
  readonly attempt: number;
  readonly executionId: string;
}

export type ClaimAnswer =
  /** The attempt is this execution's. `deaths`: earlier executions of it that took the claim and never ended. */
  | { readonly type: 'claimed'; readonly deaths: number }
  /** Another execution holds it for that long yet, unless it renews. */
  | { readonly type: 'held'; readonly remainingMs: number }
  /** The attempt's outcome, or a completion of any attempt of the task, is stored: append it again, do not run. */
  | { readonly type: 'finished'; readonly outcome: StoredOutcome }
  /** A later attempt of the task was claimed. */
  | { readonly type: 'superseded' };

export type StoreAnswer =
  | { readonly type: 'stored' }
  | { readonly type: 'other-outcome'; readonly outcome: StoredOutcome }
  | { readonly type: 'superseded' };

/** The outcome's record, ready to be appended, byte for byte. */
export interface StoredOutcome {
  readonly completed: boolean;
  readonly eventId: string;
  readonly record: LogRecord;
}

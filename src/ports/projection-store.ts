import type { Positions } from '../domain/log-record.ts';
import type { TaskState } from '../domain/task-state.ts';

/**
 * Keeps the read model of tasks: rows that are derived from the log and may be dropped at any time.
 *
 * Atomicity: positions and rows of a batch are saved in one transaction, so that redelivery and two owners change
 * nothing. Rows are replaced as a whole, never merged.
 * Every call may throw DaybookError `projection-unavailable`.
 */
export interface ProjectionStore {
  /** Makes what is missing. Idempotent. */
  prepare(): Promise<void>;

  /**
   * Positions of a generation; null when it has none (new, or its tables were dropped).
   * @throws DaybookError `history-lost`: its rows belong to another log than `logIdentity`
   */
  positions(generation: Generation, logIdentity: string): Promise<Positions | null>;

  /**
   * Applies one batch: advances the positions from `expected` to `next`, lets `change` fold the stored rows of the
   * named tasks, and saves what it returns.
   * False, with nothing changed, when the stored positions are not `expected`: another owner was here.
   */
  applyBatch(batch: ProjectionBatch): Promise<boolean>;

  /** Empties the rebuild generation. */
  startRebuild(): Promise<void>;

  /** A digest over every row of a generation, in the order of task ids. Equal rows, equal digest. */
  digest(generation: Generation): Promise<string>;

  /** Makes the rebuilt generation the live one, in one step: readers see either, never a mixture. */
  swap(): Promise<void>;
}

export type Generation = 'live' | 'rebuild';

export interface ProjectionBatch {
  readonly generation: Generation;
  readonly logIdentity: string;
  readonly expected: Positions;
  readonly next: Positions;
  readonly taskIds: readonly string[];
  /** Called inside the transaction with the stored rows of `taskIds`; returns the rows to save. */
  readonly change: (stored: ReadonlyMap<string, TaskRow>) => readonly TaskRow[];
}

/** One task of the read model: what its events fold to, and where they stand. */
export interface TaskRow {
  readonly state: TaskState;
  readonly partition: number;
  /** Offsets of all events of the task, void ones and copies included. */
  readonly offsets: readonly number[];
  /** The event that accepted or rejected it, for reading its payload from the log. */
  readonly acceptedOffset: number | null;
  /** The event that completed it, for reading its result. */
  readonly completedOffset: number | null;
  /** When the log stored its last event. */
  readonly updatedMs: number;
}

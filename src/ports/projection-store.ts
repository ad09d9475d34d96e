import type { LogPosition, Positions } from '../domain/log-record.ts';
import type { TaskState } from '../domain/task-state.ts';
import type { KnownLog } from './known-log.ts';

/**
 * The version of what a row holds. Raise it whenever `evolve` gives another state for the same events, or `TaskRow`
 * changes: rows of another version are not read but derived again from the log.
 */
export const rowVersion = 2;

/**
 * Keeps the read model of tasks: rows that are derived from the log and may be dropped at any time.
 *
 * Generations: `live` is what readers see. `rebuild` is built beside it, unseen, and takes its place by `swap`. A
 * generation exists whole or not at all: one whose tables are partly gone, or of another `rowVersion`, counts as gone.
 * Atomicity: positions and rows of a batch are saved in one transaction, so that redelivery and two owners change
 * nothing. Rows are replaced as a whole, never merged.
 * Durability: a crash may take the newest batches, each one whole; they are read from the log again.
 *
 * Every call may throw DaybookError `projection-unavailable` (the store cannot be reached or written; nothing was
 * saved), and after `close` `stopped`.
 */
export interface ProjectionStore {
  /**
   * Positions of a generation; null when it does not exist.
   * @throws DaybookError `history-lost`: its rows were derived from another log than `logIdentity`
   */
  positions(generation: Generation, logIdentity: string): Promise<Positions | null>;

  /** The log that the live rows were derived from; none when they do not exist. */
  knownLogs(): Promise<readonly KnownLog[]>;

  /**
   * Applies one batch: advances the positions from `expected` to `next`, lets `change` fold the stored rows of the
   * named tasks, and saves what it returns.
   * False, with nothing changed, when the stored positions are not `expected`: another owner was here, or the batch
   * came twice.
   * @throws DaybookError `projection-rebuilding`: the generation does not exist (any more)
   * @throws what `change` throws; nothing was changed then
   */
  applyBatch(batch: ProjectionBatch): Promise<boolean>;

  /** Makes an empty rebuild generation in place of whatever there was. */
  startRebuild(logIdentity: string): Promise<void>;

  /**
   * What the named generations hold, all as of one moment; null for one that does not exist. Reads every row, which
   * takes seconds for large models; batches go on meanwhile and are not seen.
   */
  summaries<Name extends Generation>(generations: readonly Name[]): Promise<Readonly<Record<Name, GenerationSummary | null>>>;

  /**
   * Makes the rebuild generation the live one, in one step: readers see either, never a mixture. The former live one
   * is gone.
   * False, with nothing changed, unless the rebuild generation stands at `at`, and the live one too if it exists.
   */
  swap(at: Positions): Promise<boolean>;

  /** Idempotent. */
  close(): Promise<void>;
}

export type Generation = 'live' | 'rebuild';

export interface ProjectionBatch {
  readonly generation: Generation;
  readonly expected: Positions;
  readonly next: Positions;
  /** When the log stored the newest event of the batch. */
  readonly lastEventMs: number;
  readonly taskIds: readonly string[];
  /** Called inside the transaction with the stored rows of `taskIds`; returns the rows to save. */
  readonly change: (stored: ReadonlyMap<string, TaskRow>) => readonly TaskRow[];
  /** Records that belong to no task: kept by their address, so that nothing in the log goes unseen. */
  readonly quarantined: readonly QuarantinedRecord[];
}

export interface QuarantinedRecord extends LogPosition {
  /** What was wrong, without values. */
  readonly detail: string;
}

export interface GenerationSummary {
  readonly positions: Positions;
  /** Over every row, in the order of task ids. Equal rows, equal digest; lower-case SHA-256 hex. */
  readonly digest: string;
  readonly tasks: number;
  readonly quarantined: number;
}

/** One task of the read model: what its events fold to, and where they stand. Plain data. */
export interface TaskRow {
  readonly state: TaskState;
  readonly partition: number;
  /** Offsets of the first 10,000 events of the task, void ones and copies included. */
  readonly offsets: readonly number[];
  /** How many events came after those; they count in the state, only their offsets are not kept. */
  readonly furtherEvents: number;
  /** The event that accepted or rejected it, for reading its payload from the log. */
  readonly acceptedOffset: number | null;
  /** The event that completed it, for reading its result. */
  readonly completedOffset: number | null;
  /** When the log stored its last event. */
  readonly updatedMs: number;
}

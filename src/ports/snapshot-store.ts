import { DaybookError } from '../domain/errors.ts';
import type { KnownLog } from './known-log.ts';

/**
 * The version of what snapshots hold. Raise it, with `rowVersion`, whenever `evolve` gives another state for the same
 * events, and whenever the body of a snapshot changes: one of another version is not read but folded again.
 */
export const foldVersion = 2;

/** The fold of one partition of the log up to a position, and nothing else. */
export interface Snapshot {
  readonly partition: number;
  /** As `EventReader.identity` says it. */
  readonly logIdentity: string;
  /** The next offset to read. */
  readonly position: number;
  /** What the caller made of it; to the store, bytes. */
  readonly body: Uint8Array;
}

/**
 * Keeps the newest snapshot of each partition of one topic. Snapshots are disposable: whoever has none folds the log
 * from its beginning and comes to the same.
 *
 * Atomicity: a snapshot replaces the one before as a whole. A crash leaves the one or the other.
 * Two savers of one partition: the later one wins. Either is the fold of the log up to its position.
 */
export interface SnapshotStore {
  /**
   * The newest snapshot of the partition; null when there is none that can be used. One that is broken, cut short, of
   * another `foldVersion` or out of reach is such a one: a warning says which. It never fails for that.
   * @throws DaybookError `history-lost`: it was made of another log than `logIdentity`; names both
   */
  load(partition: number, logIdentity: string): Promise<Snapshot | null>;

  /**
   * Resolves once the snapshot survives a crash and a loss of power.
   * @throws DaybookError `history-lost`: there is one of another log, which stays; names both
   * @throws DaybookError `snapshot-unavailable`: the former one is still there
   */
  save(snapshot: Snapshot): Promise<void>;

  /**
   * The logs that the topic's snapshots were made of, whatever their version.
   * @throws DaybookError `snapshot-unavailable`: nobody knows now
   */
  knownLogs(): Promise<readonly KnownLog[]>;

  /** Idempotent. */
  close(): Promise<void>;
}

/** What every store says of a snapshot that was made of another log. */
export function snapshotOfAnotherLog(known: KnownLog, logIdentity: string): DaybookError {
  return new DaybookError('history-lost', `${known.keptAs} was made of log ${known.identity}, but the log here is ${logIdentity}: history was lost. Restore the log it was, or give it up: ${known.removal}`);
}

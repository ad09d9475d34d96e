import type { Positions } from '../domain/log-record.ts';
import type { TaskPhase } from '../domain/task-state.ts';
import type { TaskRow } from './projection-store.ts';

/**
 * Asks the read model. Each answer is of one moment: rows and positions belong together.
 * Every call may throw DaybookError `projection-rebuilding` (its tables are gone, and are being rebuilt) or
 * `projection-unavailable`.
 */
export interface ProjectionReader {
  task(taskId: string): Promise<{ readonly row: TaskRow | null; readonly view: ProjectionView }>;

  /** Newest first; `after` continues behind the last row of the former page. */
  list(query: TaskQuery): Promise<{ readonly rows: readonly TaskRow[]; readonly next: PageKey | null; readonly view: ProjectionView }>;

  view(): Promise<ProjectionView>;

  /** Idempotent. */
  close(): Promise<void>;
}

/** How far the read model has read. */
export interface ProjectionView {
  readonly positions: Positions;
  /** When the log stored the last event that was read; 0 before the first. */
  readonly lastEventMs: number;
}

export interface TaskQuery {
  readonly filter: TaskFilter;
  readonly after: PageKey | null;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** All conditions hold together; absent ones do not restrict. */
export interface TaskFilter {
  readonly phases?: readonly TaskPhase[];
  /** Exact, or a prefix when it ends with `*`. */
  readonly type?: string;
  /** A worker that ran any of its executions. */
  readonly worker?: string;
  /** The error of any of its attempts: its fingerprint, of which the beginning will do, its whole code, or its whole name. */
  readonly error?: string;
  readonly batch?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Accepted at or after. */
  readonly acceptedFromMs?: number;
  /** Accepted before. */
  readonly acceptedBeforeMs?: number;
  readonly attemptsAbove?: number;
  readonly attemptsBelow?: number;
}

/** Where a page ended. */
export interface PageKey {
  /** When the task was accepted, or rejected. */
  readonly acceptedMs: number;
  readonly taskId: string;
}

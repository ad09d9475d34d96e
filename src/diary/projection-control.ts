import type { DependencyHealth } from '../ports/service.ts';
import type { EventMetricsSnapshot } from './event-metrics.ts';

/** The only projection: tasks, with their attempts and tags. */
export const projectionName = 'tasks';

/** What operators may ask of the projections, wherever they run: in this thread, or in one of their own. */
export interface ProjectionControl {
  /** @throws DaybookError `projection-unavailable`, `log-unavailable`: the answer is not known now */
  projections(): Promise<readonly ProjectionStatus[]>;

  /**
   * Starts a rebuild beside the live rows and returns at once; the result shows in `projections()` as `lastRebuild`
   * with the same operation. While one runs, asking again gives its operation and starts nothing.
   * @throws QueryProblem 404 `projection-not-found`, 503 while there is nothing to rebuild from
   */
  rebuild(name: string): Promise<{ readonly operation: string }>;

  metrics(): Promise<EventMetricsSnapshot>;
}

/** As JSON answers it. */
export interface ProjectionStatus {
  readonly name: string;
  readonly state: 'live' | 'rebuilding';
  /** By partition, the next offset to read. */
  readonly positions: Readonly<Record<string, number>>;
  /** Records in the log that are not read yet. */
  readonly lag: number;
  /** Over every row; null while there are none to serve. */
  readonly digest: string | null;
  readonly tasks: number;
  /** Records in the log that belong to no task. */
  readonly quarantined: number;
  /** Since the process started; null before the first. */
  readonly lastRebuild: RebuildReport | null;
  readonly health: readonly DependencyHealth[];
}

export interface RebuildReport {
  readonly operation: string;
  /** RFC 3339 */
  readonly finishedAt: string;
  /** Whether the rebuilt rows are those that were served before; null when there were none, or it failed. */
  readonly equal: boolean | null;
  readonly digestBefore: string | null;
  readonly digestAfter: string | null;
  /** Records read. */
  readonly events: number;
  readonly durationMs: number;
  /** Why it did not come to its end; the live rows are as before. Null when it did. */
  readonly error: string | null;
}

import type { EventMetricsSnapshot } from '../../diary/event-metrics.ts';
import type { ProjectionStatus } from '../../diary/projection-control.ts';
import type { DependencyHealth } from '../../ports/service.ts';
import type { Config } from '../config.ts';

/** What passes between the main thread and the diary's. Plain data only: it is cloned on its way. */

export interface DiaryThreadData {
  /** Where the log and the read model are. */
  readonly config: Config;
  /**
   * How often the thread looks at a log on files by itself while it waits, default 250 ms. The host tells it when the
   * log has grown; this is for the case that it does not.
   */
  readonly pollMs?: number;
}

export type DiaryCall =
  | { readonly method: 'projections' }
  | { readonly method: 'metrics' }
  | { readonly method: 'rebuild'; readonly name: string };

export interface DiaryAnswers {
  projections: readonly ProjectionStatus[];
  metrics: EventMetricsSnapshot;
  rebuild: { readonly operation: string };
}

export type ToDiaryThread =
  | { readonly type: 'wake' }
  | { readonly type: 'call'; readonly id: number; readonly call: DiaryCall }
  | { readonly type: 'stop'; readonly deadlineMs: number };

export type FromDiaryThread =
  /** Sent at least once a second, so that silence means that the thread hangs. `isStarted` once its projector is. */
  | { readonly type: 'health'; readonly isStarted: boolean; readonly health: readonly DependencyHealth[] }
  /** It read everything and waits. */
  | { readonly type: 'idle' }
  | { readonly type: 'answer'; readonly id: number; readonly value: DiaryAnswers[keyof DiaryAnswers] }
  | { readonly type: 'refusal'; readonly id: number; readonly error: TransferredError }
  | { readonly type: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly fields: Readonly<Record<string, unknown>>; readonly message: string };

/** An error without its class, which does not survive the way. */
export interface TransferredError {
  readonly message: string;
  readonly code: string | null;
  /** Set for a `QueryProblem`. */
  readonly problem: { readonly status: number; readonly title: string; readonly detail: string } | null;
}

import type { JsonValue } from './json.ts';
import type { FailureCause, TaskError } from './task-events.ts';

/** How an execution ended. */
export type Outcome =
  | { readonly type: 'Completed'; readonly result: JsonValue; readonly durationMs: number }
  | { readonly type: 'Failed'; readonly cause: FailureCause; readonly error: TaskError; readonly durationMs: number };

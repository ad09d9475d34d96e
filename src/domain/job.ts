import type { JsonValue } from './json.ts';
import type { TraceContext } from './trace-context.ts';

/** What a worker needs to run one attempt: an instruction, never a truth. History stays in the log. */
export interface Job extends TraceContext {
  readonly taskId: string;
  readonly attempt: number;
  /** 1; more only when an earlier job of the attempt was presumed lost. */
  readonly issue: number;
  readonly queue: string;
  readonly type: string;
  readonly typeVersion: number;
  readonly payload: JsonValue;
  /** Counted from the handler's start. */
  readonly timeoutMs: number;
  /** Epoch milliseconds, or null. The dispatcher has checked it right before publishing; an attempt handed out runs. */
  readonly expiresAtMs: number | null;
}

/** The same for every issue of an attempt, so that queue and workers can recognise a repeat. */
export function jobId(taskId: string, attempt: number): string {
  return `${taskId}:${attempt}`;
}

import type { JsonValue } from '../domain/json.ts';
import type { Receipt as HandlerReceipt } from '../task-definition/handle.ts';

export type { JsonValue };

/** Proof of acceptance: where the `TaskAccepted` stands in the log, and the SHA-256 of its value. */
export type Receipt = HandlerReceipt;

/** How an attempt failed, or why a submission was rejected. */
export interface TaskError {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
  readonly retryable: boolean;
  readonly cause?: string;
  readonly fingerprint?: string;
  readonly retryAfterMs?: number;
  /** Of a rejected task: the rules that its submission broke. */
  readonly violations?: ReadonlyArray<{ readonly pointer: string; readonly rule: string }>;
}

export type TaskState = 'accepted' | 'dispatched' | 'running' | 'retrying' | 'completed' | 'failed' | 'cancelled' | 'rejected';

/** How fresh an answer is. */
export interface AsOf {
  /** For each partition the offset that will be read next. */
  readonly positions: Readonly<Record<string, number>>;
  /** Everything that the log held at this instant is in the answer; RFC 3339. */
  readonly time: string;
  readonly lagMs: number;
}

/** One page of a list; `next` is the cursor of the page behind it, null on the last. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
  readonly asOf: AsOf;
}

/** What the diary knows of a task. Instants are RFC 3339 texts. */
export interface TaskView<Result = JsonValue> {
  readonly id: string;
  readonly type: string | null;
  readonly typeVersion: number | null;
  readonly state: TaskState;
  /** 0 until the first attempt is dispatched. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly queue: string | null;
  readonly priority: number | null;
  /** Absent in lists, as is `result`. */
  readonly payload?: JsonValue;
  readonly result?: Result;
  readonly error?: TaskError;
  /** Why it failed for good, or was cancelled. */
  readonly reason?: string;
  /** Null for a rejected one. */
  readonly acceptedAt: string | null;
  readonly dispatchedAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  /** When the waiting attempt may run. */
  readonly dueAt?: string;
  readonly expiresAt?: string;
  readonly workerId?: string;
  readonly progress?: { readonly fraction: number; readonly note: string | null; readonly at: string };
  readonly batch?: string;
  readonly parent?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly anomalies: ReadonlyArray<{ readonly code: string; readonly eventId: string | null; readonly detail: string }>;
  readonly links: Readonly<Record<string, string>>;
  /** Absent in lists. */
  readonly asOf?: AsOf;
}

/** A record of a task's history, in the order of the log. */
export interface EventItem {
  readonly type: string;
  readonly eventId: string | null;
  /** When the decision was taken. */
  readonly time: string;
  readonly attempt?: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The offset of the first copy of the same event. */
  readonly duplicateOf?: number;
  /** Why it changed nothing. */
  readonly void?: { readonly code: string; readonly detail: string };
  readonly headers: Readonly<Record<string, string>>;
  /** The record's value; null when it is no JSON. */
  readonly data: JsonValue;
}

export interface AttemptItem {
  readonly attempt: number;
  readonly executionId: string | null;
  readonly workerId: string | null;
  readonly startedAt: string | null;
  readonly finishedAt?: string;
  /** `in-doubt`: it started, and the task went on without its outcome. */
  readonly outcome: 'running' | 'completed' | 'failed' | 'in-doubt';
  readonly error?: TaskError;
  readonly issue: number;
  readonly redelivered: boolean;
  readonly guarded: boolean;
}

export interface ProjectionItem {
  readonly name: string;
  readonly state: 'live' | 'rebuilding';
  readonly positions: Readonly<Record<string, number>>;
  /** Records between its positions and the log's end. */
  readonly lag: number;
  readonly digest: string | null;
  /** Since the server started; null before the first. */
  readonly lastRebuild: RebuildReport | null;
}

export interface RebuildReport {
  readonly operation: string;
  readonly finishedAt: string;
  /** Whether the rebuilt rows are those that were served before; null when there were none, or it failed. */
  readonly equal: boolean | null;
  readonly events?: number;
  readonly durationMs?: number;
  /** Why it did not come to its end; null when it did. */
  readonly error?: string | null;
}

/** A raw record; key and value are base64. */
export interface LogItem {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** When the log stored it, RFC 3339. */
  readonly timestamp: string;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
}

/** A request to cancel or retry that stands in the log; the decision follows as an event. */
export interface RequestRecorded {
  readonly id: string;
  readonly requestEventId: string;
  readonly receipt: Receipt;
}

export const finalStates: ReadonlySet<TaskState> = new Set(['completed', 'failed', 'cancelled', 'rejected']);

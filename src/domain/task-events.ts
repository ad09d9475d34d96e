import type { JsonObject, JsonValue } from './json.ts';
import type { RetryPolicy } from './retry-schedule.ts';

/** The data of each event, by the event's name. Instants are epoch milliseconds here, RFC 3339 in the record. */
export interface TaskEventData {
  TaskAccepted: TaskAcceptedData;
  TaskRejected: { readonly code: string; readonly violations: readonly Violation[] };
  TaskDispatched: { readonly attempt: number; readonly queue: string; readonly issue: number; readonly reason?: string };
  TaskExecutionStarted: TaskExecutionStartedData;
  TaskExecutionProgressed: TaskExecutionProgressedData;
  TaskExecutionCompleted: TaskExecutionCompletedData;
  TaskExecutionFailed: TaskExecutionFailedData;
  TaskRetryRequested: RequestData;
  TaskRetryScheduled: TaskRetryScheduledData;
  TaskCancellationRequested: RequestData;
  TaskCancelled: { readonly reason: string };
  TaskFailedPermanently: { readonly reason: PermanentFailureReason; readonly attempts: number };
}

export type TaskEventType = keyof TaskEventData;

/** One fact of a task's life. `type` names the event; `taskType` and `taskTypeVersion` the kind of task. */
export type TaskEvent = { [Type in TaskEventType]: TaskEventOf<Type> }[TaskEventType];

export interface TaskEventOf<Type extends TaskEventType> extends EventEnvelope {
  readonly type: Type;
  readonly data: TaskEventData[Type];
}

export interface EventEnvelope {
  /** Deterministic: the same cause gives the same id, whoever repeats it. */
  readonly id: string;
  readonly taskId: string;
  /** When the decision was taken, by the producer's clock. Never used for order. */
  readonly timeMs: number;
  /** `/daybook/<role>/<instance>` */
  readonly source: string;
  readonly tenant: string;
  /** Null in the two requests, which name only the task. */
  readonly taskType: string | null;
  /** Null where it is not known. */
  readonly taskTypeVersion: number | null;
  /** W3C trace context of the step that caused the event. */
  readonly traceparent?: string;
}

export interface TaskAcceptedData {
  /** As the client sent it. */
  readonly payload: JsonValue;
  readonly options: AcceptedOptions;
  /** The effective policy, so that the log alone tells it. */
  readonly retry: RetryPolicy;
  /** The effective limit of one execution, counted from the handler's start. */
  readonly timeoutMs: number;
  readonly submitter: string;
  readonly batch?: string;
  readonly parent?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly idempotencyKeyDigest?: string;
  /** SHA-256 of the canonical JSON of `{type, version, payload, options}` as sent. */
  readonly requestDigest: string;
}

/** A delay stays a delay: it counts from the time of the first valid `TaskAccepted`. */
export interface AcceptedOptions {
  readonly queue?: string;
  readonly priority?: number;
  readonly notBeforeMs?: number;
  readonly delayMs?: number;
  readonly expiresAtMs?: number;
  readonly expiresInMs?: number;
  readonly concurrencyKey?: string;
}

/** A broken rule: where and which, never the value. */
export interface Violation {
  readonly pointer: string;
  readonly rule: string;
}

export interface TaskExecutionStartedData {
  readonly attempt: number;
  readonly issue: number;
  readonly queue: string;
  readonly executionId: string;
  readonly workerId: string;
  readonly handlerVersion: number;
  /** The queue may have delivered this job before. A hint. */
  readonly redelivered: boolean;
  /** Whether a claim guards the execution. */
  readonly guarded: boolean;
}

export interface TaskExecutionProgressedData {
  readonly attempt: number;
  readonly executionId: string;
  /** From 1 within an execution. */
  readonly sequence: number;
  /** 0 to 1. */
  readonly fraction: number;
  readonly note?: string;
}

export interface TaskExecutionCompletedData {
  readonly attempt: number;
  readonly executionId: string;
  readonly workerId: string;
  readonly result: JsonValue;
  readonly durationMs: number;
}

export interface TaskExecutionFailedData {
  readonly attempt: number;
  /** Absent, as are `workerId` and `durationMs`, when no execution started. */
  readonly executionId?: string;
  readonly workerId?: string;
  readonly error: TaskError;
  readonly cause: FailureCause;
  readonly durationMs?: number;
}

export interface TaskError {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
  readonly retryable: boolean;
  /** The handler's hint: how long to wait before the next attempt. */
  readonly retryAfterMs?: number;
  readonly fingerprint: string;
  /** At most 4 KiB. */
  readonly stack?: string;
}

export const failureCauses = ['handler', 'timeout', 'unknown-type', 'invalid-job', 'crash-loop', 'delivery-limit'] as const;
export type FailureCause = (typeof failureCauses)[number];

export interface RequestData {
  readonly requestId: string;
  readonly reason: string;
  readonly by: string;
}

export interface TaskRetryScheduledData {
  /** The attempt that will run. */
  readonly attempt: number;
  readonly dueAtMs: number;
  readonly reason: RetryReason;
  readonly policy: RetryPolicy;
}

export const retryReasons = ['failed', 'operator'] as const;
export type RetryReason = (typeof retryReasons)[number];

/**
 * Why the job of an attempt was issued again: it was in nobody's hands, or the dispatcher also knew that the queue it
 * was in had been lost with everything in it. The latter says nothing against the task.
 */
export type ReissueReason = 'presumed lost' | 'queue lost';

export const permanentFailureReasons = [
  'attempts-exhausted',
  'not-retryable',
  'expired',
  'crash-loop',
  'delivery-limit',
  'reissue-limit',
] as const;
export type PermanentFailureReason = (typeof permanentFailureReasons)[number];

/** The version of each event's data that this build writes. Additive change keeps it; anything else raises it. */
export const schemaVersions: Readonly<Record<TaskEventType, number>> = {
  TaskAccepted: 1,
  TaskRejected: 1,
  TaskDispatched: 1,
  TaskExecutionStarted: 1,
  TaskExecutionProgressed: 1,
  TaskExecutionCompleted: 1,
  TaskExecutionFailed: 1,
  TaskRetryRequested: 1,
  TaskRetryScheduled: 1,
  TaskCancellationRequested: 1,
  TaskCancelled: 1,
  TaskFailedPermanently: 1,
};

export const taskEventTypes = Object.keys(schemaVersions) as readonly TaskEventType[];

/** The two that name the task and not its type: who asks need not know it. */
export function isRequest(type: TaskEventType): boolean {
  return type === 'TaskRetryRequested' || type === 'TaskCancellationRequested';
}

/** A record that is no event this build can read. It is kept and shown, and never stops a reader. */
export interface UnreadableRecord {
  readonly type: 'Unreadable';
  readonly id: string | null;
  /** The record's key; null when it has none. */
  readonly taskId: string | null;
  readonly reason: 'unknown-event-type' | 'newer-schema-version' | 'older-schema-version' | 'malformed';
  /** What was wrong, without values. */
  readonly detail: string;
  /**
   * True when the envelope is sound and only the event is not known here: history that another build wrote (a newer
   * one, or one so old that no upcaster reaches from it). Nobody may then act on the task. Garbage under a task's
   * key changes nothing.
   */
  readonly freezes: boolean;
}

export type DecodedRecord = TaskEvent | UnreadableRecord;

/** Upcasters by event and version: pure functions from the data of version n to that of n + 1. */
export type Upcasters = Readonly<Partial<Record<TaskEventType, Readonly<Record<number, (data: JsonObject) => JsonObject>>>>>;

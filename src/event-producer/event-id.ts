import { hash } from 'node:crypto';
import { canonicalJson, type JsonValue } from '../domain/json.ts';
import type { TaskEventData, TaskEventType } from '../domain/task-events.ts';

/** The namespace of every identity that Daybook derives. */
const namespace = Buffer.from('485cfe1c3e934940ba20e56b15407a61', 'hex');

/**
 * UUID version 5 (RFC 9562, section 5.5: SHA-1 of namespace and name) of the canonical JSON of `parts`.
 */
export function derivedId(parts: readonly JsonValue[]): string {
  // In one call: a hash object costs three times as much, and every event pays it.
  const hex = hash('sha1', Buffer.concat([namespace, Buffer.from(canonicalJson(parts))]), 'hex');
  const variant = ((parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export function sha256Hex(content: string | Uint8Array): string {
  return hash('sha256', content, 'hex');
}

/** The id of the task that an Idempotency-Key names. */
export function taskIdForKey(tenant: string, idempotencyKey: string): string {
  return derivedId([tenant, idempotencyKey]);
}

/** The id of a child task: the same parent and key give the same child, however often the parent runs. */
export function childTaskId(parentId: string, key: string): string {
  return derivedId([parentId, 'child', key]);
}

/**
 * The id of an event: UUIDv5 over the task id, the event's type, and every choice that the event holds, so that one
 * id always has one value and the same cause gives the same id whoever repeats it.
 * @param causeId the event that caused the decision, where the type asks for it
 */
export function eventId<Type extends TaskEventType>(
  type: Type,
  taskId: string,
  data: TaskEventData[Type],
  value: Uint8Array,
  cause: { readonly attempt: number; readonly eventId: string } | undefined,
): string {
  return derivedId([taskId, type, ...choices(type, data, value, cause)]);
}

function choices(
  type: TaskEventType,
  data: TaskEventData[TaskEventType],
  value: Uint8Array,
  cause: { readonly attempt: number; readonly eventId: string } | undefined,
): JsonValue[] {
  switch (type) {
    case 'TaskAccepted':
      return [sha256Hex(value)];
    case 'TaskRejected':
      return [];
    case 'TaskDispatched': {
      const { attempt, issue, queue } = data as TaskEventData['TaskDispatched'];
      return [attempt, issue, queue];
    }
    case 'TaskExecutionStarted':
    case 'TaskExecutionCompleted': {
      const { attempt, executionId } = data as TaskEventData['TaskExecutionStarted'];
      return [attempt, executionId];
    }
    case 'TaskExecutionFailed': {
      const { attempt, executionId, cause: failureCause } = data as TaskEventData['TaskExecutionFailed'];
      return [attempt, executionId ?? null, failureCause];
    }
    case 'TaskExecutionProgressed': {
      const { attempt, executionId, sequence } = data as TaskEventData['TaskExecutionProgressed'];
      return [attempt, executionId, sequence];
    }
    case 'TaskRetryRequested':
    case 'TaskCancellationRequested':
      return [(data as TaskEventData['TaskRetryRequested']).requestId];
    case 'TaskRetryScheduled':
    case 'TaskCancelled':
    case 'TaskFailedPermanently': {
      if (!cause) throw new TypeError(`${type} needs the event that caused it`);
      return [cause.attempt, (data as { readonly reason: string }).reason, cause.eventId];
    }
    default:
      return type satisfies never;
  }
}

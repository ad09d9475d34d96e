import { acceptTask } from '../domain/acceptance.ts';
import { DaybookError } from '../domain/errors.ts';
import { instantText } from '../domain/instant.ts';
import type { Job } from '../domain/job.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Violation } from '../domain/task-events.ts';
import { childTaskId, sha256Hex } from '../event-producer/event-id.ts';
import { recordDigest, type EventProducer } from '../event-producer/event-producer.ts';
import type { TaskDefinition } from '../task-definition/define-task.ts';
import type { ChildOptions, ChildTask } from '../task-definition/handle.ts';
import { issuePointer } from '../task-definition/standard-schema.ts';
import { toJson } from './to-json.ts';

const longestKey = 255;

export interface ChildTaskParts {
  readonly producer: EventProducer;
  /** The queues that a child may ask for. */
  readonly queues: ReadonlySet<string>;
  readonly maxPayloadBytes: number;
  readonly maxDepth: number;
}

/** Submits a task on behalf of the parent's, in its trace; see `HandlerContext.submit`. */
export async function submitChild(
  parts: ChildTaskParts,
  parent: Pick<Job, 'taskId' | 'traceparent'>,
  definition: TaskDefinition<never>,
  payload: unknown,
  options: ChildOptions,
): Promise<ChildTask> {
  const { type, version } = definition;
  const { key, ...asked } = options;
  if (typeof key !== 'string' || key === '' || key.length > longestKey) {
    throw invalid(type, [{ pointer: '/options/key', rule: `must be 1 to ${longestKey} characters` }]);
  }
  const sent = toJson(payload, parts.maxDepth);
  if ('problem' in sent) throw invalid(type, [{ pointer: '/payload', rule: sent.problem }]);
  if (sent.bytes > parts.maxPayloadBytes) {
    throw invalid(type, [{ pointer: '/payload', rule: `must not exceed ${parts.maxPayloadBytes} bytes, has ${sent.bytes}` }]);
  }
  const checked = await definition.payload['~standard'].validate(sent.json);
  if (checked.issues) {
    throw invalid(type, checked.issues.map((issue) => ({ pointer: issuePointer(issue, '/payload'), rule: issue.message })));
  }
  // The payload stands in the event as it was sent, not as the schema returned it: defaults may read a clock, and a
  // second execution must give the same event.
  const request = { type, version, payload: sent.json, options: asked as JsonObject };
  const context = { submitter: 'anonymous', queues: parts.queues, parent: parent.taskId };
  const accepted = acceptTask(request, definition, context, sha256Hex);
  if ('violations' in accepted) throw invalid(type, accepted.violations);

  const id = childTaskId(parent.taskId, key);
  const { eventId, timeMs, record, position } = await parts.producer.record({
    type: 'TaskAccepted',
    taskId: id,
    taskType: type,
    taskTypeVersion: version,
    tenant: 'default',
    data: accepted.data,
    traceparent: parent.traceparent,
  });
  const { partition, offset } = position;
  const acceptedAt = instantText(timeMs);
  return { id, receipt: { eventId, topic: parts.producer.topic, partition, offset, sha256: recordDigest(record), acceptedAt } };
}

function invalid(type: string, violations: readonly Violation[]): DaybookError {
  const rules = violations.map(({ pointer, rule }) => `${pointer} ${rule}`).join('; ');
  return new DaybookError('task-invalid', `child task ${type} was not submitted: ${rules}`);
}

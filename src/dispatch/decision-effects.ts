import type { Decision } from '../domain/dispatch-policy.ts';
import { decodeEvent } from '../domain/event-codec.ts';
import type { Job } from '../domain/job.ts';
import type { JsonValue } from '../domain/json.ts';
import type { StoredRecord } from '../domain/log-record.ts';
import type { ReissueReason, TaskEventOf } from '../domain/task-events.ts';
import { startDeadlineMs } from '../domain/task-state.ts';
import type { EventDraft } from '../event-producer/event-producer.ts';
import type { OpenTask } from './open-tasks.ts';

export type DispatchDecision = Extract<Decision, { type: 'Dispatch' | 'Reissue' }>;
/** Decisions that become an event. */
export type RecordedDecision = Exclude<Decision, { type: 'WakeAt' }>;

/** Who records the dispatch of another cannot know what that one knew of the queue. */
const reasonOfMissing: ReissueReason = 'presumed lost';

export function isDispatch(decision: Decision): decision is DispatchDecision {
  return decision.type === 'Dispatch' || decision.type === 'Reissue';
}

/** The event in a `TaskAccepted` record; undefined when it is something else. */
export function acceptanceIn(record: StoredRecord | null | undefined): TaskEventOf<'TaskAccepted'> | undefined {
  const event = record ? decodeEvent(record) : null;
  return event?.type === 'TaskAccepted' ? event : undefined;
}

/** The instruction that an attempt becomes. */
export function jobOf(task: OpenTask, { attempt, queue, issue }: DispatchDecision, payload: JsonValue): Job {
  const accepted = task.state.accepted!;
  return {
    taskId: task.taskId,
    attempt,
    issue,
    queue,
    type: accepted.type,
    typeVersion: accepted.typeVersion,
    payload,
    timeoutMs: accepted.timeoutMs,
    expiresAtMs: startDeadlineMs(task.state),
    ...task.trace,
  };
}

/** The event that says what was decided, or, for a dispatch, what was done. */
export function draftOf(task: OpenTask, decision: RecordedDecision): EventDraft {
  const { type: taskType, typeVersion: taskTypeVersion, tenant, retry } = task.state.accepted!;
  const subject = { taskId: task.taskId, taskType, taskTypeVersion, tenant, ...task.trace };
  switch (decision.type) {
    case 'Dispatch':
    case 'Reissue':
    case 'RecordDispatch': {
      const { attempt, queue, issue } = decision;
      const reason = decision.type === 'Reissue' ? decision.reason : reasonOfMissing;
      return { ...subject, type: 'TaskDispatched', data: { attempt, queue, issue, ...(issue > 1 ? { reason } : {}) } };
    }
    case 'ScheduleRetry': {
      const { attempt, dueAtMs, reason } = decision;
      return { ...subject, type: 'TaskRetryScheduled', data: { attempt, dueAtMs, reason, policy: retry }, cause: causeOf(decision) };
    }
    case 'FailPermanently': {
      const { reason, attempts } = decision;
      return { ...subject, type: 'TaskFailedPermanently', data: { reason, attempts }, cause: { attempt: attempts, eventId: decision.causeId } };
    }
    case 'Cancel':
      return { ...subject, type: 'TaskCancelled', data: { reason: decision.reason }, cause: causeOf(decision) };
    default:
      return decision satisfies never;
  }
}

function causeOf({ attempt, causeId }: { readonly attempt: number; readonly causeId: string }) {
  return { attempt, eventId: causeId };
}

import { decodeEvent } from '../domain/event-codec.ts';
import type { Job } from '../domain/job.ts';
import type { LogRecord } from '../domain/log-record.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { FailureCause, TaskError, TaskEventData, TaskEventType } from '../domain/task-events.ts';
import type { EventDraft } from '../event-producer/event-producer.ts';
import { taskError } from './task-error.ts';

export type OutcomeDraft = EventDraft<'TaskExecutionCompleted'> | EventDraft<'TaskExecutionFailed'>;

export function startedEvent(
  job: Job,
  execution: Omit<TaskEventData['TaskExecutionStarted'], 'attempt' | 'issue' | 'queue'>,
): EventDraft<'TaskExecutionStarted'> {
  const { attempt, issue, queue } = job;
  return draft(job, 'TaskExecutionStarted', { attempt, issue, queue, ...execution });
}

export function progressEvent(
  job: Job,
  executionId: string,
  progress: Pick<TaskEventData['TaskExecutionProgressed'], 'sequence' | 'fraction' | 'note'>,
): EventDraft<'TaskExecutionProgressed'> {
  return draft(job, 'TaskExecutionProgressed', { attempt: job.attempt, executionId, ...progress });
}

export function outcomeEvent(job: Job, executionId: string, workerId: string, outcome: Outcome): OutcomeDraft {
  const { attempt } = job;
  const { durationMs } = outcome;
  switch (outcome.type) {
    case 'Completed':
      return draft(job, 'TaskExecutionCompleted', { attempt, executionId, workerId, result: outcome.result, durationMs });
    case 'Failed':
      return draft(job, 'TaskExecutionFailed', { attempt, executionId, workerId, error: outcome.error, cause: outcome.cause, durationMs });
    default:
      return outcome satisfies never;
  }
}

/*
 * Failures without a start. Their ids name no execution, so every worker that finds the same must write the same
 * bytes: nothing in them tells who wrote it, or how often something was seen.
 */

/** Retryable: a worker that has the handler may come with the deploy that is under way. */
export function unknownTypeEvent(job: Job): EventDraft<'TaskExecutionFailed'> {
  const message = `no handler for ${job.type} version ${job.typeVersion}: deploy a worker that has one`;
  return failureWithoutStart(job, 'unknown-type', taskError('UnknownType', 'unknown-type', message, true));
}

/** @param deadLetter its queue had given up on the job as well */
export function crashLoopEvent(job: Job, deadLetter: boolean): EventDraft<'TaskExecutionFailed'> {
  const message = 'the executions of this attempt keep ending without an outcome, as if they killed their worker: it is not run again';
  if (!deadLetter) return failureWithoutStart(job, 'crash-loop', taskError('CrashLoop', 'crash-loop', message, false));
  return failureWithoutStart(job, 'delivery-limit', taskError('DeliveryLimit', 'delivery-limit', `${message}, and its queue gave up delivering it`, false));
}

/**
 * What takes the place of an outcome that the log refuses to hold. It follows from the job and the refused record
 * alone, so that whoever meets the refusal again writes the same bytes. A record of another attempt can only be a
 * completion of the task that the claims kept; then this attempt fails without a start.
 * Null for what is no completion: a failure is small, and a log that refuses it refuses everything.
 */
export function refusedOutcomeEvent(job: Job, refused: LogRecord): EventDraft<'TaskExecutionFailed'> | null {
  const event = decodeEvent(refused);
  if (event.type !== 'TaskExecutionCompleted') return null;
  const { attempt, executionId, workerId, durationMs } = event.data;
  const error = taskError('ResultTooLarge', 'result-too-large', 'the log refused the result as too large: return less, or raise its limit', false);
  if (attempt !== job.attempt) return failureWithoutStart(job, 'handler', error);
  return draft(job, 'TaskExecutionFailed', { attempt, executionId, workerId, error, cause: 'handler', durationMs });
}

function failureWithoutStart(job: Job, cause: FailureCause, error: TaskError): EventDraft<'TaskExecutionFailed'> {
  return draft(job, 'TaskExecutionFailed', { attempt: job.attempt, error, cause });
}

function draft<Type extends TaskEventType>(job: Job, type: Type, data: TaskEventData[Type]): EventDraft<Type> {
  const { taskId, type: taskType, typeVersion: taskTypeVersion, traceparent } = job;
  return { type, taskId, taskType, taskTypeVersion, tenant: 'default', data, traceparent };
}

import { decodeEvent, encodeEvent, encodeValue } from '../../src/domain/event-codec.ts';
import type { Decision } from '../../src/domain/dispatch-policy.ts';
import { evolve } from '../../src/domain/evolve.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import { defaultRetryPolicy } from '../../src/domain/retry-schedule.ts';
import type {
  DecodedRecord,
  RequestData,
  TaskAcceptedData,
  TaskError,
  TaskEventData,
  TaskEventType,
  TaskExecutionFailedData,
  TaskExecutionStartedData,
  TaskRetryScheduledData,
} from '../../src/domain/task-events.ts';
import { initialState, type TaskState } from '../../src/domain/task-state.ts';
import { eventId } from '../../src/event-producer/event-id.ts';

/** When every built history begins. Each event is a second later than the one before, unless `at` says otherwise. */
export const t0 = Date.UTC(2026, 0, 1, 9);

/** The instant `count` seconds after the beginning. */
export const second = (count: number): number => t0 + count * 1_000;

export const emailWelcome = { type: 'email.welcome', version: 1 } as const;

type FailureChoice = Partial<Omit<TaskExecutionFailedData, 'error'>> & Partial<Omit<TaskError, 'message' | 'stack'>>;

/** Starts the history of one task: `history('a').accepted().dispatched(1).started(1, 'e1').failed(1, 'e1')`. */
export function history(taskId = 'task-1'): TaskHistory {
  return new TaskHistory(taskId);
}

/**
 * Builds the records of one task as its producers would write them: each event passes through the real codec and
 * has its real id. A history never changes: each call gives a longer one, so that a beginning can be shared.
 */
export class TaskHistory {
  readonly taskId: string;
  readonly records: readonly LogRecord[];
  /** The records as a reader decodes them. */
  readonly events: readonly DecodedRecord[];
  /** What they add up to. */
  readonly state: TaskState;
  /** When the next event happens. */
  readonly nextMs: number;

  constructor(
    taskId: string,
    state = initialState(taskId),
    records: readonly LogRecord[] = [],
    events: readonly DecodedRecord[] = [],
    nextMs = t0,
  ) {
    this.taskId = taskId;
    this.state = state;
    this.records = records;
    this.events = events;
    this.nextMs = nextMs;
  }

  /** The newest event; its id is what a decision names as its cause. */
  get last(): DecodedRecord {
    const event = this.events.at(-1);
    if (!event) throw new Error('the history is empty');
    return event;
  }

  get lastId(): string {
    return this.last.id ?? '';
  }

  /** The next event happens at this instant. */
  at(timeMs: number): TaskHistory {
    return new TaskHistory(this.taskId, this.state, this.records, this.events, timeMs);
  }

  accepted(data: Partial<TaskAcceptedData> = {}): TaskHistory {
    return this.#with('TaskAccepted', {
      payload: { to: 'ada@example.org' },
      options: {},
      retry: defaultRetryPolicy,
      timeoutMs: 30_000,
      submitter: 'anonymous',
      requestDigest: 'digest-1',
      ...data,
    });
  }

  rejected(code = 'payload-invalid'): TaskHistory {
    return this.#with('TaskRejected', { code, violations: [{ pointer: '/payload/to', rule: 'must be text' }] });
  }

  dispatched(attempt: number, choice: { readonly queue?: string; readonly issue?: number; readonly reason?: string } = {}): TaskHistory {
    return this.#with('TaskDispatched', { attempt, queue: 'default', issue: 1, ...choice });
  }

  started(attempt: number, executionId: string, choice: Partial<TaskExecutionStartedData> = {}): TaskHistory {
    return this.#with('TaskExecutionStarted', {
      attempt,
      issue: 1,
      queue: 'default',
      executionId,
      workerId: 'worker-1',
      handlerVersion: 1,
      redelivered: false,
      guarded: true,
      ...choice,
    });
  }

  progressed(attempt: number, executionId: string, sequence: number, fraction = 0.5): TaskHistory {
    return this.#with('TaskExecutionProgressed', { attempt, executionId, sequence, fraction });
  }

  completed(attempt: number, executionId: string): TaskHistory {
    return this.#with('TaskExecutionCompleted', { attempt, executionId, workerId: 'worker-1', result: { sent: true }, durationMs: 40 });
  }

  /** @param executionId null for a failure without a start */
  failed(attempt: number, executionId: string | null, choice: FailureChoice = {}): TaskHistory {
    const { name = 'Error', code = null, fingerprint = 'f00d', retryable = true, retryAfterMs, cause = 'handler' } = choice;
    return this.#with('TaskExecutionFailed', {
      attempt,
      ...(executionId === null ? {} : { executionId, workerId: 'worker-1', durationMs: 40 }),
      error: {
        name,
        message: 'connection refused',
        code,
        retryable,
        fingerprint,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      },
      cause,
    });
  }

  retryRequested(requestId = 'request-1'): TaskHistory {
    return this.#with('TaskRetryRequested', request(requestId));
  }

  /** Without a due time it is due at once; the cause is the newest event that can cause it. */
  retryScheduled(attempt: number, choice: Partial<TaskRetryScheduledData> = {}): TaskHistory {
    const { reason = 'failed', dueAtMs = this.nextMs } = choice;
    const cause = this.#newestId(reason === 'failed' ? 'TaskExecutionFailed' : 'TaskRetryRequested');
    return this.#with('TaskRetryScheduled', { attempt, dueAtMs, reason, policy: choice.policy ?? defaultRetryPolicy }, { attempt, eventId: cause });
  }

  cancellationRequested(requestId = 'request-1'): TaskHistory {
    return this.#with('TaskCancellationRequested', request(requestId));
  }

  cancelled(attempt = 1): TaskHistory {
    const cause = this.#newestId('TaskCancellationRequested');
    return this.#with('TaskCancelled', { reason: 'not needed any more' }, { attempt, eventId: cause });
  }

  failedPermanently(data: Partial<TaskEventData['TaskFailedPermanently']> = {}): TaskHistory {
    const { reason = 'attempts-exhausted', attempts = 1 } = data;
    const cause = this.#newestId(reason === 'expired' ? 'TaskAccepted' : 'TaskExecutionFailed');
    return this.#with('TaskFailedPermanently', { reason, attempts }, { attempt: attempts, eventId: cause });
  }

  /** What a decision of the dispatcher leaves in the log once it was carried out. */
  decided(decision: Decision): TaskHistory {
    switch (decision.type) {
      case 'Dispatch':
        return this.dispatched(decision.attempt, { queue: decision.queue, issue: decision.issue });
      case 'Reissue':
      case 'RecordDispatch': {
        const { attempt, queue, issue } = decision;
        const reason = decision.type === 'Reissue' ? decision.reason : 'presumed lost';
        return this.dispatched(attempt, { queue, issue, ...(issue > 1 ? { reason } : {}) });
      }
      case 'ScheduleRetry': {
        const { attempt, dueAtMs, reason, causeId } = decision;
        return this.#with('TaskRetryScheduled', { attempt, dueAtMs, reason, policy: defaultRetryPolicy }, { attempt, eventId: causeId });
      }
      case 'FailPermanently': {
        const { reason, attempts, causeId } = decision;
        return this.#with('TaskFailedPermanently', { reason, attempts }, { attempt: attempts, eventId: causeId });
      }
      case 'Cancel':
        return this.#with('TaskCancelled', { reason: decision.reason }, { attempt: decision.attempt, eventId: decision.causeId });
      case 'WakeAt':
        throw new Error('waiting leaves nothing in the log');
      default:
        return decision satisfies never;
    }
  }

  /** A sound envelope around an event that only a newer build knows. */
  ofNewerBuild(header: 'ce_type' | 'ce_dataschema' = 'ce_type'): TaskHistory {
    const record = this.#record('TaskCancelled', { reason: 'x' }, { attempt: 0, eventId: `newer-${this.records.length}` });
    const changed: Record<string, string> =
      header === 'ce_type'
        ? { ce_type: 'TaskPostponed', ce_dataschema: '/schemas/TaskPostponed/1' }
        : { ce_dataschema: '/schemas/TaskCancelled/2' };
    return this.raw({ ...record, headers: record.headers.map(([name, value]) => [name, changed[name] ?? value] as const) });
  }

  /** Bytes under the task's key that are no event at all. */
  garbage(text = 'not json'): TaskHistory {
    return this.raw({ key: this.taskId, headers: [], value: new TextEncoder().encode(text) });
  }

  /** Any record, as it is. */
  raw(record: LogRecord): TaskHistory {
    const event = decodeEvent(record);
    const events = [...this.events, event];
    return new TaskHistory(this.taskId, evolve(this.state, event), [...this.records, record], events, this.nextMs + 1_000);
  }

  /** The newest record once more, as a producer's retry or a reader's redelivery brings it. */
  again(): TaskHistory {
    const record = this.records.at(-1);
    if (!record) throw new Error('the history is empty');
    return this.raw(record);
  }

  #with<Type extends TaskEventType>(type: Type, data: TaskEventData[Type], cause?: { attempt: number; eventId: string }): TaskHistory {
    return this.raw(this.#record(type, data, cause));
  }

  #record<Type extends TaskEventType>(type: Type, data: TaskEventData[Type], cause?: { attempt: number; eventId: string }): LogRecord {
    const { taskId } = this;
    const subject = { taskId, taskType: emailWelcome.type, taskTypeVersion: emailWelcome.version };
    const value = encodeValue(type, subject, data);
    const id = eventId(type, taskId, data, value, cause);
    const envelope = { ...subject, type, id, timeMs: this.nextMs, source: '/daybook/test/1', tenant: 'default' };
    return encodeEvent(envelope, value);
  }

  #newestId(type: TaskEventType): string {
    const cause = this.events.findLast((event) => event.type === type);
    return cause?.id ?? 'no-such-cause';
  }
}

function request(requestId: string): RequestData {
  return { requestId, reason: 'not needed any more', by: 'ada' };
}

import type { TraceContext } from '../domain/trace-context.ts';
import type { EventProducer } from '../event-producer/event-producer.ts';
import type { Ids } from '../ports/ids.ts';
import type { Receipt } from '../task-definition/handle.ts';
import { isUnavailable, receiptOf } from './accept-task.ts';
import { refuse, unavailable, type Refusal, type Unavailable } from './refusal.ts';
import { parseReason } from './task-request.ts';

export interface RecordedRequest {
  readonly type: 'recorded';
  /** The task. */
  readonly id: string;
  readonly requestEventId: string;
  readonly receipt: Receipt;
}

/**
 * Records that somebody asks for a task to be cancelled or retried. Only the request: the api does not know the
 * task's state; the dispatcher decides, and what cannot be done stands in the history as void. A crash after the
 * append and before the answer leaves a request that will be decided; asking again records a second one, which is
 * void while the first is open.
 */
export class RecordRequest {
  readonly #producer: EventProducer;
  readonly #ids: Ids;

  constructor(producer: EventProducer, ids: Ids) {
    this.#producer = producer;
    this.#ids = ids;
  }

  /**
   * @param taskId must look like a task id; whether the task exists is judged when the request is read
   * @param body `{reason}` as the client sent it
   * @param by the authenticated name, or `anonymous`
   * @param trace of the caller; the record carries it on
   */
  async record(
    type: 'TaskCancellationRequested' | 'TaskRetryRequested',
    taskId: string,
    body: unknown,
    by: string,
    trace: TraceContext = {},
  ): Promise<RecordedRequest | Refusal | Unavailable> {
    const parsed = parseReason(body);
    if ('errors' in parsed) return refuse('invalid-request', 'The request needs a reason and nothing else.', parsed.errors);
    const data = { requestId: this.#ids.uuidv7(), reason: parsed.reason, by };
    try {
      const recorded = await this.#producer.record({ type, taskId, taskType: null, taskTypeVersion: null, tenant: 'default', data, ...trace });
      return { type: 'recorded', id: taskId, requestEventId: recorded.eventId, receipt: receiptOf(recorded, this.#producer.topic) };
    } catch (error) {
      if (isUnavailable(error)) return unavailable();
      throw error;
    }
  }
}

/** Task ids are UUIDs in lower case; anything else names no task. */
export function isTaskId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

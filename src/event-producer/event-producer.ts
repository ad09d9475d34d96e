import { encodeEvent, encodeValue } from '../domain/event-codec.ts';
import type { LogRecord } from '../domain/log-record.ts';
import type { TaskEventData, TaskEventType } from '../domain/task-events.ts';
import type { Clock } from '../ports/clock.ts';
import type { AppendedRecord, EventAppender } from '../ports/event-appender.ts';
import { eventId, sha256Hex } from './event-id.ts';

/** A fact to be recorded, before it has an id and a time. */
export interface EventDraft<Type extends TaskEventType = TaskEventType> {
  readonly type: Type;
  readonly taskId: string;
  readonly taskType: string | null;
  readonly taskTypeVersion: number | null;
  readonly tenant: string;
  readonly data: TaskEventData[Type];
  /** For decisions: the attempt (0 when none) and the event that caused it. */
  readonly cause?: { readonly attempt: number; readonly eventId: string };
  readonly traceparent?: string | undefined;
}

/** An event with its identity and time, ready to be appended, now or again later. */
export interface PreparedEvent {
  readonly eventId: string;
  readonly timeMs: number;
  readonly record: LogRecord;
}

export interface RecordedEvent extends PreparedEvent {
  readonly position: AppendedRecord;
}

/**
 * Turns drafts into records: stamps id, time and source, encodes, appends. The only caller of `EventAppender`.
 * It holds no rule of the lifecycle.
 */
export class EventProducer {
  readonly topic: string;
  readonly #appender: EventAppender;
  readonly #clock: Clock;
  readonly #source: string;

  /** @param source `/daybook/<role>/<instance>` */
  constructor(appender: EventAppender, clock: Clock, source: string) {
    this.topic = appender.topic;
    this.#appender = appender;
    this.#clock = clock;
    this.#source = source;
  }

  prepare<Type extends TaskEventType>(draft: EventDraft<Type>): PreparedEvent {
    const { type, taskId, taskType, taskTypeVersion, tenant, data, cause, traceparent } = draft;
    const timeMs = this.#clock.nowMs();
    const value = encodeValue(type, { taskId, taskType, taskTypeVersion }, data);
    const id = eventId(type, taskId, data, value, cause);
    const envelope = { type, id, taskId, timeMs, source: this.#source, tenant, taskType, taskTypeVersion };
    const record = encodeEvent(traceparent === undefined ? envelope : { ...envelope, traceparent }, value);
    return { eventId: id, timeMs, record };
  }

  /**
   * Appends a prepared event. The same one may be appended again when the first append was not confirmed.
   * @throws as `EventAppender.append`
   */
  append(record: LogRecord): Promise<AppendedRecord> {
    return this.#appender.append(record);
  }

  /** @throws as `EventAppender.append` */
  async record<Type extends TaskEventType>(draft: EventDraft<Type>): Promise<RecordedEvent> {
    const prepared = this.prepare(draft);
    return { ...prepared, position: await this.#appender.append(prepared.record) };
  }
}

/** Lower-case SHA-256 hex of the record's value, as receipts carry it. */
export function recordDigest(record: LogRecord): string {
  return sha256Hex(record.value);
}

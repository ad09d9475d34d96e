import { decodeEvent } from '../../domain/event-codec.ts';
import { evolve } from '../../domain/evolve.ts';
import { instantText } from '../../domain/instant.ts';
import { judge } from '../../domain/judgement.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { StoredRecord } from '../../domain/log-record.ts';
import { initialState, type TaskState } from '../../domain/task-state.ts';

/** One record of a task's history, as JSON answers it. */
export interface EventView {
  /** The event's name; `Unreadable` when the envelope does not tell one. */
  readonly type: string;
  readonly eventId: string | null;
  /** When the decision was taken; of an unreadable record, when the log stored it. RFC 3339. */
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

/** Judges the records of one task anew, in the order of the log, and says of each what became of it. */
export class HistoryReading {
  readonly #topic: string;
  readonly #firstOffsets = new Map<string, number>();
  #state: TaskState;

  constructor(topic: string, taskId: string) {
    this.#topic = topic;
    this.#state = initialState(taskId);
  }

  next(record: StoredRecord): EventView {
    const event = decodeEvent(record);
    const judgement = judge(this.#state, event);
    const headers = Object.fromEntries(record.headers);
    const copyOf = event.id === null ? undefined : this.#firstOffsets.get(event.id);
    if (judgement.kind === 'valid' && event.id !== null && copyOf === undefined) this.#firstOffsets.set(event.id, record.offset);
    this.#state = evolve(this.#state, event);
    const attempt = event.type !== 'Unreadable' && 'attempt' in event.data ? event.data.attempt : undefined;
    return {
      type: event.type === 'Unreadable' ? (headers.ce_type ?? event.type) : event.type,
      eventId: event.id,
      time: instantText(event.type === 'Unreadable' ? record.timestampMs : event.timeMs),
      ...(attempt === undefined ? {} : { attempt }),
      topic: this.#topic,
      partition: record.partition,
      offset: record.offset,
      ...(judgement.kind === 'duplicate' && copyOf !== undefined ? { duplicateOf: copyOf } : {}),
      ...(judgement.kind === 'void' ? { void: { code: judgement.code, detail: judgement.detail } } : {}),
      ...(judgement.kind === 'repeat' ? { void: { code: 'repeat', detail: 'the same request was accepted before' } } : {}),
      headers,
      data: dataOf(record),
    };
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A record's value as it is. */
export function dataOf(record: StoredRecord): JsonValue {
  try {
    return JSON.parse(decoder.decode(record.value)) as JsonValue;
  } catch {
    return null;
  }
}

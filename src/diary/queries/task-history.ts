import { decodeEvent } from '../../domain/event-codec.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import type { TaskRow } from '../../ports/projection-store.ts';
import { foldRow } from '../fold-batch.ts';
import { taskNotFound } from '../query-problem.ts';
import type { TaskBodies } from './task-view.ts';

const recordsPerRead = 500;

/** A moment in the past of a task: an instant, or how many of its events had happened. */
export type Moment = { readonly instantMs: number } | { readonly events: number };

/** Payload and result of a task, which the read model leaves in the log. */
export async function readBodies(reader: EventReader, { partition, acceptedOffset, completedOffset }: TaskRow): Promise<TaskBodies> {
  const offsets = [acceptedOffset, completedOffset].map((offset) => ({ partition, offset: offset ?? -1 }));
  const [accepted = null, completed = null] = await reader.readAt(offsets);
  const payload = bodyOf(accepted, 'payload') ?? null;
  const result = bodyOf(completed, 'result');
  return result === undefined ? { payload } : { payload, result };
}

function bodyOf(record: StoredRecord | null, member: 'payload' | 'result'): JsonValue | undefined {
  const event = record && decodeEvent(record);
  if (!event || event.type === 'Unreadable') return undefined;
  const data: object = event.data;
  return (data as { readonly [Name in typeof member]?: JsonValue })[member];
}

/** The records of a task in the order of the log, read in steps so that a long history does not fill memory. */
export async function* recordsOf(reader: EventReader, { partition, offsets }: Pick<TaskRow, 'partition' | 'offsets'>): AsyncGenerator<StoredRecord> {
  for (let from = 0; from < offsets.length; from += recordsPerRead) {
    const positions = offsets.slice(from, from + recordsPerRead).map((offset) => ({ partition, offset }));
    for (const record of await reader.readAt(positions)) if (record) yield record;
  }
}

/**
 * The task as it was at a moment, folded anew from its first events: those that had happened by the instant, by their
 * own times, or the first n. The order is that of the log, so an instant takes the events before the first later one.
 * @throws QueryProblem 404 when it did not exist yet
 */
export async function rowAt(reader: EventReader, row: TaskRow, moment: Moment): Promise<{ readonly row: TaskRow; readonly positions: Positions; readonly timeMs: number }> {
  const past: StoredRecord[] = [];
  for await (const record of recordsOf(reader, row)) {
    if ('instantMs' in moment ? timeOf(record) > moment.instantMs : past.length >= moment.events) break;
    past.push(record);
  }
  const last = past.at(-1);
  const { taskId } = row.state;
  if (!last) throw taskNotFound(`Task ${taskId} did not exist yet at that moment.`);
  return {
    row: foldRow(null, taskId, past),
    positions: new Map([[last.partition, last.offset + 1]]),
    timeMs: 'instantMs' in moment ? moment.instantMs : last.timestampMs,
  };
}

/** When the event happened, as its history shows it; when the log stored it, where that cannot be read. */
function timeOf(record: StoredRecord): number {
  const event = decodeEvent(record);
  return event.type === 'Unreadable' ? record.timestampMs : event.timeMs;
}

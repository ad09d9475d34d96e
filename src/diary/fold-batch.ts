import { decodeEvent } from '../domain/event-codec.ts';
import { evolve } from '../domain/evolve.ts';
import type { Positions, StoredRecord } from '../domain/log-record.ts';
import type { DecodedRecord } from '../domain/task-events.ts';
import { initialState, type TaskState } from '../domain/task-state.ts';
import type { QuarantinedRecord, TaskRow } from '../ports/projection-store.ts';

/** Offsets that a row keeps. A task with more events than this is being abused; its row must not grow for ever. */
export const offsetsKept = 10_000;
const longestKey = 256;

/** Told of each event as it is folded. */
export type EventObserver = (before: TaskState, event: DecodedRecord, after: TaskState) => void;

/** The records of one batch, sorted by task, ready to be folded into the stored rows. */
export interface PreparedBatch {
  readonly taskIds: readonly string[];
  readonly quarantined: readonly QuarantinedRecord[];
  readonly next: Positions;
  readonly lastEventMs: number;
  readonly change: (stored: ReadonlyMap<string, TaskRow>) => TaskRow[];
}

/**
 * Groups records by task, so that each task's row is read and written once per batch, however many events it got.
 * @param from positions before the records, which are in the order of the log and start there
 */
export function prepareBatch(from: Positions, records: readonly StoredRecord[], observe?: EventObserver): PreparedBatch {
  const byTask = new Map<string, StoredRecord[]>();
  const quarantined: QuarantinedRecord[] = [];
  const next = new Map(from);
  let lastEventMs = 0;
  for (const record of records) {
    next.set(record.partition, record.offset + 1);
    lastEventMs = Math.max(lastEventMs, record.timestampMs);
    const { key } = record;
    if (!isUsableKey(key)) quarantined.push({ partition: record.partition, offset: record.offset, detail: 'the record has no usable key' });
    else if (byTask.has(key)) byTask.get(key)?.push(record);
    else byTask.set(key, [record]);
  }
  const change = (stored: ReadonlyMap<string, TaskRow>) =>
    Array.from(byTask, ([taskId, recordsOfTask]) => foldRow(stored.get(taskId) ?? null, taskId, recordsOfTask, observe));
  return { taskIds: [...byTask.keys()], quarantined, next, lastEventMs, change };
}

/** The row after further records of one task, at least one, all behind those that the row has seen. */
export function foldRow(row: TaskRow | null, taskId: string, records: readonly StoredRecord[], observe?: EventObserver): TaskRow {
  let state = row?.state ?? initialState(taskId);
  let acceptedOffset = row?.acceptedOffset ?? null;
  let completedOffset = row?.completedOffset ?? null;
  let partition = row?.partition ?? 0;
  let updatedMs = row?.updatedMs ?? 0;
  for (const record of records) {
    const event = decodeEvent(record);
    const before = state;
    state = evolve(before, event);
    if (isKnown(state) && !isKnown(before)) acceptedOffset = record.offset;
    if (state.end !== before.end) completedOffset = state.end?.kind === 'completed' ? record.offset : null;
    partition = record.partition;
    updatedMs = Math.max(updatedMs, record.timestampMs);
    observe?.(before, event, state);
  }
  const offsets = [...(row?.offsets ?? []), ...records.map(({ offset }) => offset)];
  const furtherEvents = (row?.furtherEvents ?? 0) + Math.max(0, offsets.length - offsetsKept);
  return { state, partition, offsets: offsets.slice(0, offsetsKept), furtherEvents, acceptedOffset, completedOffset, updatedMs };
}

/** Whether the task has its first event. */
function isKnown(state: TaskState): boolean {
  return state.accepted !== null || state.rejected !== null;
}

/** Foreign writers may have left records without a key, or with one that no task id could be. */
function isUsableKey(key: string | null): key is string {
  return key !== null && key.length > 0 && key.length <= longestKey;
}

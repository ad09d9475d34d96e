import type { RecordedEvent } from './evidence.ts';

/** The records of each task in the order of the log, without the copies: of the same event id only the first. */
export function historiesOfTasks(records: readonly RecordedEvent[]): ReadonlyMap<string, readonly RecordedEvent[]> {
  const histories = new Map<string, RecordedEvent[]>();
  const seen = new Set<string>();
  for (const record of records) {
    if (seen.has(record.id)) continue;
    seen.add(record.id);
    const key = record.key ?? '';
    const history = histories.get(key);
    if (history) history.push(record);
    else histories.set(key, [record]);
  }
  return histories;
}

/** How a violation names the place: whoever reads it can go there. */
export function at({ type, key, partition, offset }: RecordedEvent): string {
  return `${type} of ${String(key)} at ${partition}/${offset}`;
}

export const isOutcome = ({ type }: RecordedEvent) => type === 'TaskExecutionCompleted' || type === 'TaskExecutionFailed';

import { isDeepStrictEqual } from 'node:util';
import { hasEnded } from './every-task-ends.ts';
import type { RecordedEvent } from './evidence.ts';
import { historiesOfTasks } from './histories-of-tasks.ts';

/** What the diary answers at one moment. */
export interface View {
  /** Where the view stands: by partition, the next offset to read. */
  readonly positions: Readonly<Record<string, number>>;
  readonly digest: string | null;
  /** What it says of each task, by id. */
  readonly tasks: ReadonlyMap<string, unknown>;
}

/** G7: rows derived again from the log are the rows that were there. */
export function rebuiltViewEqualsLive(live: View, rebuilt: View): string[] {
  const missing = [...live.tasks.keys()].filter((id) => !rebuilt.tasks.has(id)).map((id) => `${id} is gone`);
  const changed = [...rebuilt.tasks].filter(([id, task]) => !isDeepStrictEqual(task, live.tasks.get(id))).map(([id]) => `${id} is told otherwise`);
  const moved = isDeepStrictEqual(rebuilt.positions, live.positions) ? [] : [`the view stands at ${JSON.stringify(rebuilt.positions)}, and stood at ${JSON.stringify(live.positions)}`];
  const digest = rebuilt.digest !== null && rebuilt.digest === live.digest ? [] : [`the digest is ${rebuilt.digest}, and was ${live.digest}`];
  return [...missing, ...changed, ...moved, ...digest];
}

const states: Readonly<Record<string, string>> = {
  TaskExecutionCompleted: 'completed',
  TaskFailedPermanently: 'failed',
  TaskCancelled: 'cancelled',
  TaskRejected: 'rejected',
};

/** The view of tasks that have ended says of each how, by the log. Told without the fold that made the view. */
export function viewSaysHowTasksEnded(records: readonly RecordedEvent[], view: View): string[] {
  return [...historiesOfTasks(records)].flatMap(([id, history]) => {
    if (!hasEnded(history)) return [];
    const reopened = history.findLastIndex(({ type, data }) => type === 'TaskRetryScheduled' && data.reason === 'operator');
    const end = history.slice(reopened + 1).find(({ type }) => type in states);
    const told = (view.tasks.get(id) as { readonly state?: string } | undefined)?.state;
    return told === states[end?.type ?? ''] ? [] : [`${id} ended by ${end?.type}, and the view says ${String(told)}`];
  });
}

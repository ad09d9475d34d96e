import type { Evidence, RecordedEvent } from './evidence.ts';
import { at, historiesOfTasks } from './histories-of-tasks.ts';

/** G2: no event of a task stands before the one that makes it possible. Order is by offset, never by time. */
export function orderPerTask({ records }: Evidence): string[] {
  return [...historiesOfTasks(records).values()].flatMap((history) =>
    history.flatMap((record, index) => {
      const cause = missingCause(record, history.slice(0, index));
      return cause === null ? [] : [`${at(record)} stands before ${cause}`];
    }),
  );
}

/** What has to stand before the event and does not; null when nothing is missing. */
function missingCause(record: RecordedEvent, before: readonly RecordedEvent[]): string | null {
  const { type, data } = record;
  const { attempt = 0, executionId, reason } = data;
  const has = (name: string, matches: (event: RecordedEvent) => boolean = () => true) => before.some((event) => event.type === name && matches(event));
  const missing = (name: string, matches?: (event: RecordedEvent) => boolean) => (has(name, matches) ? null : name);
  switch (type) {
    case 'TaskAccepted':
    case 'TaskRejected':
      return before.some((event) => !event.type.endsWith('Requested')) ? 'all others: it begins a task' : null;
    case 'TaskRetryRequested':
    case 'TaskCancellationRequested':
      return null;
    case 'TaskDispatched':
    case 'TaskExecutionStarted':
      if (attempt === 1) return missing('TaskAccepted');
      return missing('TaskRetryScheduled', (event) => event.data.attempt === attempt);
    case 'TaskExecutionCompleted':
    case 'TaskExecutionProgressed':
      return missing('TaskExecutionStarted', (event) => event.data.attempt === attempt && event.data.executionId === executionId);
    case 'TaskExecutionFailed':
      if (executionId === undefined) return missing('TaskAccepted');
      return missing('TaskExecutionStarted', (event) => event.data.attempt === attempt && event.data.executionId === executionId);
    case 'TaskRetryScheduled':
      if (reason === 'operator') return missing('TaskRetryRequested');
      return missing('TaskExecutionFailed', (event) => event.data.attempt === attempt - 1);
    case 'TaskCancelled':
      return missing('TaskCancellationRequested');
    case 'TaskFailedPermanently':
      return missing(reason === 'expired' ? 'TaskAccepted' : 'TaskExecutionFailed');
    default:
      return `nothing: ${type} is no event`;
  }
}

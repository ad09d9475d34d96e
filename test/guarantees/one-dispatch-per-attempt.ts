import type { Evidence, RecordedEvent } from './evidence.ts';
import { at, historiesOfTasks, isOutcome } from './histories-of-tasks.ts';

/**
 * G3: one acceptance and one completion per task; per attempt one dispatch for each issue, one retry that opens it,
 * one outcome. A second start of an attempt is another process's, after the first one died, and never comes after
 * the attempt's outcome.
 */
export function oneDispatchPerAttempt({ records }: Evidence): string[] {
  return [...historiesOfTasks(records).values()].flatMap((history) => [
    ...repeated(history, 'TaskAccepted', () => ''),
    ...repeated(history, 'TaskExecutionCompleted', () => ''),
    ...repeated(history, 'TaskDispatched', ({ attempt, issue }) => `attempt ${attempt} issue ${issue}`),
    ...repeated(history, 'TaskRetryScheduled', ({ attempt }) => `attempt ${attempt}`),
    ...repeated(history, 'TaskExecutionStarted', ({ attempt, workerId }) => `attempt ${attempt} at ${workerId}`),
    ...secondOutcomes(history),
    ...gapsInIssues(history),
    ...startsAfterOutcome(history),
    ...secondEnds(history),
  ]);
}

/** Different events that say the same thing. Copies are not here any more. */
function repeated(history: readonly RecordedEvent[], type: string, what: (data: RecordedEvent['data']) => string): string[] {
  const seen = new Set<string>();
  return history
    .filter((event) => event.type === type)
    .filter(({ data }) => seen.size === seen.add(what(data)).size)
    .map((event) => `${at(event)} is a second one ${what(event.data)}`.trimEnd());
}

function secondOutcomes(history: readonly RecordedEvent[]): string[] {
  const seen = new Set<number | undefined>();
  return history
    .filter(isOutcome)
    .filter(({ data }) => seen.size === seen.add(data.attempt).size)
    .map((event) => `${at(event)} is a second outcome of attempt ${event.data.attempt}`);
}

function gapsInIssues(history: readonly RecordedEvent[]): string[] {
  const issues = new Map<number | undefined, number>();
  return history
    .filter(({ type }) => type === 'TaskDispatched')
    .filter(({ data: { attempt, issue } }) => {
      const expected = (issues.get(attempt) ?? 0) + 1;
      issues.set(attempt, expected);
      return issue !== expected;
    })
    .map((event) => `${at(event)} has issue ${event.data.issue}, which is not the next one`);
}

function startsAfterOutcome(history: readonly RecordedEvent[]): string[] {
  const isAgain = (start: RecordedEvent, index: number) => history.slice(0, index).some((event) => isOutcome(event) && event.data.attempt === start.data.attempt);
  return history
    .filter((event, index) => event.type === 'TaskExecutionStarted' && isAgain(event, index))
    .map((start) => `${at(start)} runs attempt ${start.data.attempt} again, which has its outcome`);
}

/** One decision that ends a task, and one more for each time an operator opened it again. */
function secondEnds(history: readonly RecordedEvent[]): string[] {
  const reopened = history.filter(({ type, data }) => type === 'TaskRetryScheduled' && data.reason === 'operator').length;
  const ends = history.filter(({ type }) => type === 'TaskFailedPermanently' || type === 'TaskCancelled');
  return ends.slice(1 + reopened).map((end) => `${at(end)} ends a task that has ended`);
}

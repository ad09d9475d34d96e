import type { Evidence, RecordedEvent } from './evidence.ts';
import { historiesOfTasks, isOutcome } from './histories-of-tasks.ts';

const endings = new Set(['TaskExecutionCompleted', 'TaskFailedPermanently', 'TaskCancelled', 'TaskRejected']);

/**
 * G5, at quiescence: every accepted task has ended, or waits for an instant that has not come; nothing else is left
 * in the queue; every attempt that was dispatched has its outcome, and every one that started has its dispatch, be it
 * recorded late.
 */
export function everyTaskEnds({ records, jobs, parkedJobs }: Evidence, nowMs: number = Date.now()): string[] {
  const open = [...historiesOfTasks(records)].flatMap(([taskId, history]) => {
    if (!history.some(({ type }) => type === 'TaskAccepted') || hasEnded(history) || dueMs(history) > nowMs) return [];
    return [`${taskId} was accepted and neither ended nor waits: its last event is ${history.at(-1)?.type}`];
  });
  const left = jobs.map(({ taskId, attempt }) => `attempt ${attempt} of ${taskId} is still in the queue`);
  const parked = parkedJobs === 0 ? [] : [`${parkedJobs} messages in the queue were no jobs`];
  return [...open, ...left, ...parked, ...unfinishedAttempts(records)];
}

/** The last thing that decides whether the task is open is its end, not an operator's retry. */
export function hasEnded(history: readonly RecordedEvent[]): boolean {
  const last = history.findLast(({ type, data }) => endings.has(type) || (type === 'TaskRetryScheduled' && data.reason === 'operator'));
  return last !== undefined && endings.has(last.type);
}

function unfinishedAttempts(records: readonly RecordedEvent[]): string[] {
  return [...historiesOfTasks(records)].flatMap(([taskId, history]) => {
    const attempts = (matches: (event: RecordedEvent) => boolean) => new Set(history.filter(matches).map(({ data }) => data.attempt));
    const decided = attempts(isOutcome);
    const dispatched = attempts(({ type }) => type === 'TaskDispatched');
    const started = attempts(({ type }) => type === 'TaskExecutionStarted');
    return [
      ...[...dispatched].filter((attempt) => !decided.has(attempt)).map((attempt) => `attempt ${attempt} of ${taskId} was dispatched and has no outcome`),
      ...[...started].filter((attempt) => !dispatched.has(attempt)).map((attempt) => `attempt ${attempt} of ${taskId} started, and its dispatch was never recorded`),
    ];
  });
}

/** When the task may go on, as the log tells it; 0 when it need not wait. */
function dueMs(history: readonly RecordedEvent[]): number {
  const cause = history.findLast(({ type }) => type === 'TaskRetryScheduled' || type === 'TaskAccepted');
  if (cause?.type === 'TaskRetryScheduled') return Date.parse(cause.data.dueAt ?? '') || 0;
  const { notBefore, delayMs } = (cause?.data['options'] ?? {}) as { readonly notBefore?: string; readonly delayMs?: number };
  if (notBefore !== undefined) return Date.parse(notBefore);
  return delayMs === undefined ? 0 : Date.parse(cause?.time ?? '') + delayMs;
}

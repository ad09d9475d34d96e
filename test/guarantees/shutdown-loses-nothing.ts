import type { Evidence } from './evidence.ts';
import { at, historiesOfTasks, isOutcome } from './histories-of-tasks.ts';

/**
 * G8, after an orderly end: nothing stands half done. No execution holds a claim; what started has its outcome, or its
 * job was given back to the queue.
 */
export function shutdownLosesNothing({ records, jobs, heldClaims }: Evidence): string[] {
  const queued = new Set(jobs.map(({ taskId, attempt }) => `${taskId}:${attempt}`));
  const held = heldClaims.map(({ taskId, attempt }) => `a claim on attempt ${attempt} of ${taskId} is still held`);
  const half = [...historiesOfTasks(records)].flatMap(([taskId, history]) => {
    const decided = new Set(history.filter(isOutcome).map(({ data }) => data.attempt));
    return history
      .filter(({ type, data }) => type === 'TaskExecutionStarted' && !decided.has(data.attempt) && !queued.has(`${taskId}:${data.attempt}`))
      .map((start) => `${at(start)} has neither an outcome nor its job`);
  });
  return [...held, ...half];
}

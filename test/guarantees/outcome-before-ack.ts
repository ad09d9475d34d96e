import type { Evidence } from './evidence.ts';
import { at, historiesOfTasks, isOutcome } from './histories-of-tasks.ts';

/**
 * G4: a job leaves the queue only after the log has its outcome. So at every moment, also in what a killed process
 * left, an attempt that was dispatched has its job, or its outcome.
 */
export function outcomeBeforeAck({ records, jobs }: Evidence): string[] {
  const queued = new Set(jobs.map(({ taskId, attempt }) => `${taskId}:${attempt}`));
  return [...historiesOfTasks(records)].flatMap(([taskId, history]) => {
    const decided = new Set(history.filter(isOutcome).map(({ data }) => data.attempt));
    return history
      .filter(({ type, data }) => type === 'TaskDispatched' && !decided.has(data.attempt) && !queued.has(`${taskId}:${data.attempt}`))
      .map((dispatch) => `${at(dispatch)} has neither its job nor an outcome of attempt ${dispatch.data.attempt}`);
  });
}

// Reads what a run left in the log, by the command that users have for it: the judge is not the system under test's word.
import { createInterface } from 'node:readline';
import { inEnvironment, startDaybookCommand } from './processes.mjs';

/** What one task without failures leaves behind, once each. */
const lifecycle = ['TaskAccepted', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionCompleted'];

/**
 * Adds to each sample when its `TaskExecutionCompleted` was appended, by the log's clock in whole milliseconds.
 * @throws Error when any task of the log has more or less than its four events
 */
export async function readHistory(settings, samples) {
  const tasks = await eventsByTask(settings);
  for (const [taskId, events] of tasks) {
    const found = events.map(({ type }) => type).sort();
    if (found.join() !== lifecycle.toSorted().join()) throw new Error(`task ${taskId} left ${found.join(', ')} in the log, not its four events once each`);
  }
  return samples.map((sample) => {
    const events = tasks.get(sample.id);
    if (!events) throw new Error(`task ${sample.id} was acknowledged and is not in the log`);
    const { timestampMs } = events.find(({ type }) => type === 'TaskExecutionCompleted');
    return { ...sample, completedMs: timestampMs };
  });
}

async function eventsByTask(settings) {
  const tasks = new Map();
  const { child, ended } = startDaybookCommand(['log', 'export'], inEnvironment(settings));
  for await (const line of createInterface({ input: child.stdout })) {
    const { key, headers, timestamp } = JSON.parse(line);
    const taskId = Buffer.from(key, 'base64').toString();
    if (!tasks.has(taskId)) tasks.set(taskId, []);
    tasks.get(taskId).push({ type: headers.ce_type, timestampMs: Date.parse(timestamp) });
  }
  await ended;
  return tasks;
}

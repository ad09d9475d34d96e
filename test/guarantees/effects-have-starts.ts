import type { Evidence } from './evidence.ts';

/**
 * The second witness: what handlers did, by a ledger that the system does not know of. Nothing ran without a start in
 * history, by the process that it names, and nothing is called completed that did not run.
 */
export function effectsHaveStarts({ records, effects }: Evidence): string[] {
  if (effects === null) return [];
  const starts = new Map<string, Set<string>>();
  for (const { type, key, data } of records) {
    if (type !== 'TaskExecutionStarted') continue;
    const run = `${key}:${data.attempt}:${data.workerId?.split('-').at(-1)}`;
    starts.set(run, (starts.get(run) ?? new Set()).add(data.executionId ?? ''));
  }
  const runs = new Map<string, number>();
  for (const { taskId, attempt, pid } of effects) runs.set(`${taskId}:${attempt}:${pid}`, (runs.get(`${taskId}:${attempt}:${pid}`) ?? 0) + 1);
  const unrecorded = [...runs]
    .filter(([run, count]) => count > (starts.get(run)?.size ?? 0))
    .map(([run, count]) => `${run} (task, attempt, process) ran ${count} times and has ${starts.get(run)?.size ?? 0} starts in history`);
  const ran = new Set(effects.map(({ taskId, attempt }) => `${taskId}:${attempt}`));
  const invented = records
    .filter(({ type, key, data }) => type === 'TaskExecutionCompleted' && !ran.has(`${key}:${data.attempt}`))
    .map(({ key, data }) => `attempt ${data.attempt} of ${String(key)} is completed in history, and no handler ran it`);
  return [...unrecorded, ...invented];
}

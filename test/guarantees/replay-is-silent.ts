import type { Evidence } from './evidence.ts';

/** G6: reading history again adds nothing to it, hands out nothing and runs nothing. */
export function replayIsSilent(before: Evidence, after: Evidence): string[] {
  const grown = after.records.slice(before.records.length).map(({ type, key }) => `the replay appended ${type} of ${String(key)}`);
  const known = new Set(before.jobs.map(({ taskId, attempt, issue }) => `${taskId}:${attempt}:${issue}`));
  const published = after.jobs
    .filter(({ taskId, attempt, issue }) => !known.has(`${taskId}:${attempt}:${issue}`))
    .map(({ taskId, attempt }) => `the replay published attempt ${attempt} of ${taskId}`);
  const effects = (after.effects?.length ?? 0) - (before.effects?.length ?? 0);
  const ran = effects === 0 ? [] : [`the replay ran ${effects} handlers`];
  const shrunk = after.records.length < before.records.length ? [`the log ends at ${after.records.length}, and ended at ${before.records.length}`] : [];
  return [...grown, ...published, ...ran, ...shrunk];
}

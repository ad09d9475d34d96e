import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle, type Daybook } from '../../src/index.ts';
import { readEvidence, type Evidence } from '../guarantees/evidence.ts';
import { replayIsSilent } from '../guarantees/replay-is-silent.ts';
import { finished, get, post, submit, untilReady } from '../support/daybook-http.ts';
import { startInProcess } from '../support/daybook-in-process.ts';
import { eventually } from '../support/eventually.ts';

const work = defineTask({ type: 'work', payload: z.object({ failures: z.number() }), retry: { maxAttempts: 2, backoff: 'fixed', base: '10ms' } });
const runs: string[] = [];
const tasks = [
  handle(work, ({ failures }, { taskId, attempt }) => {
    runs.push(`${taskId}:${attempt}`);
    if (attempt <= failures) throw new Error('not yet');
    return attempt;
  }),
];

const submission = (failures: number, options = {}) => ({ type: 'work', payload: { failures }, options });

/** A folder whose tasks have all ended: completed, after a retry, failed, redriven, cancelled, expired, rejected. */
async function finishedHistory(): Promise<string> {
  const { url, folder, daybook } = await startInProcess({ tasks });
  const held = await Promise.all([submission(0), submission(1), submission(9), submission(2), submission(0, { expiresAt: 50, notBefore: '1h' })].map((task) => submit(url, task)));
  for (const { id } of held) await finished(url, id);
  await post(`${url}/v1/tasks/${held[3]!.id}/retry`, { reason: 'again' });
  const unwanted = await submit(url, submission(0, { notBefore: '1h' }));
  await post(`${url}/v1/tasks/${unwanted.id}/cancel`, { reason: 'unwanted' });
  await post(`${url}/v1/tasks`, { type: 'work', payload: {} });
  const isCompleted = async (id: string) => (await get<{ state: string }>(`${url}/v1/tasks/${id}`)).body.state === 'completed';
  await eventually(() => isCompleted(held[3]!.id));
  await finished(url, unwanted.id);
  await finished(url, (await submit(url, submission(0))).id);
  await daybook.stop();
  return folder;
}

async function evidenceOf(folder: string): Promise<Evidence> {
  return readEvidence(folder, { effects: runs.map((run) => ({ taskId: run, attempt: 0, pid: 0 })) });
}

/** Starts roles that have never seen the folder, waits until they act at the end of the log, and stops them: that settles whatever they began. */
async function replay(folder: string, roles: readonly ('dispatcher' | 'worker' | 'diary' | 'api')[]): Promise<void> {
  const { url, daybook }: { url: string; daybook: Daybook } = await startInProcess({ tasks, dataDir: folder, roles });
  await untilReady(url, 10_000);
  await daybook.stop();
}

/** Makes the next dispatcher read the log from its beginning. */
function forgetSnapshots(folder: string): void {
  rmSync(join(folder, 'snapshots'), { recursive: true });
}

it('reads a finished history into a fresh dispatcher, which publishes and appends nothing', async () => {
  const folder = await finishedHistory();
  const before = await evidenceOf(folder);
  expect(new Set(before.records.map(({ type }) => type)).size).toBeGreaterThanOrEqual(10);
  expect(before.jobs).toEqual([]);

  forgetSnapshots(folder);
  await replay(folder, ['dispatcher']);
  expect(replayIsSilent(before, await evidenceOf(folder))).toEqual([]);
  // This time from the snapshot that the first one wrote when it stopped.
  await replay(folder, ['api', 'dispatcher', 'worker', 'diary']);
  expect(replayIsSilent(before, await evidenceOf(folder))).toEqual([]);
});

it('would show it: the same history, cut off before its last task was dispatched, is acted upon', async () => {
  const folder = await finishedHistory();
  const { records } = await evidenceOf(folder);
  const lastAccepted = records.findLast(({ type }) => type === 'TaskAccepted')!;
  const database = new DatabaseSync(join(folder, 'log.db'));
  database.prepare('DELETE FROM log WHERE first > ?').run(lastAccepted.offset);
  database.close();

  // With them the dispatcher would find that history was lost, and do nothing.
  forgetSnapshots(folder);

  const before = await evidenceOf(folder);
  await replay(folder, ['dispatcher']);
  expect(replayIsSilent(before, await evidenceOf(folder))).toEqual([
    `the replay appended TaskDispatched of ${lastAccepted.key}`,
    `the replay published attempt 1 of ${lastAccepted.key}`,
  ]);
});

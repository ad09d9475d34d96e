import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle, startDaybook, type DaybookOptions } from '../../src/index.ts';
import { readEvidence, type RecordedEvent } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const work = defineTask({ type: 'work', payload: z.object({}), result: z.null() });

/**
 * Removes the records from an offset on: what the dispatcher appended last was never appended. And the snapshot of its
 * orderly stop, which one that died has not written.
 */
function cutLog(folder: string, from: number): void {
  const database = new DatabaseSync(join(folder, 'log.db'));
  database.prepare('DELETE FROM log WHERE first >= ?').run(from);
  database.close();
  rmSync(join(folder, 'snapshots'), { recursive: true });
}

const names = (records: readonly RecordedEvent[]) => records.map(({ type }) => type);

// A dispatcher dies after the queue has confirmed the job and before TaskDispatched is in the log: a moment too short
// for the kills of the crash scenario to meet often. Here the folder is put into the state that it leaves.
it.each([
  ['a worker was faster than the next dispatcher', 1],
  ['the next dispatcher was faster than a worker', 0],
])('records a dispatch that nobody lived to record, and the attempt runs once, when %s', async (_who, workerFirst) => {
  const dataDir = temporaryFolder();
  let runs = 0;
  const handler = handle(work, () => {
    runs += 1;
    return null;
  });
  const part = (roles: NonNullable<DaybookOptions['roles']>) => startDaybook({ tasks: [handler], dataDir, roles, logLevel: 'error' });

  const first = await part(['api', 'dispatcher']);
  const held = await first.submit(work, {});
  await eventually(async () => (await readEvidence(dataDir)).records.length === 2);
  await first.stop();
  cutLog(dataDir, 1);
  expect(await readEvidence(dataDir)).toMatchObject({ records: [{ type: 'TaskAccepted' }], jobs: [{ taskId: held.id, attempt: 1 }] });

  for (const role of workerFirst ? (['worker', 'dispatcher'] as const) : (['dispatcher', 'worker'] as const)) {
    const before = (await readEvidence(dataDir)).records.length;
    const next = await part([role]);
    const grown = role === 'worker' ? 2 : 1;
    await eventually(async () => (await readEvidence(dataDir)).records.length >= before + grown);
    await next.stop();
  }

  const evidence = await readEvidence(dataDir, { receipts: [held] });
  expect(names(evidence.records)).toEqual(
    workerFirst
      ? ['TaskAccepted', 'TaskExecutionStarted', 'TaskExecutionCompleted', 'TaskDispatched']
      : ['TaskAccepted', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionCompleted'],
  );
  expect(runs).toBe(1);
  expectGuarantees(evidence);
});

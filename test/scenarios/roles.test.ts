import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle, startDaybook, type DaybookOptions } from '../../src/index.ts';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const add = defineTask({ type: 'add', payload: z.object({ left: z.number(), right: z.number() }), result: z.number() });

it('runs any of the roles in the caller’s process: each does its part, and the log carries the rest', async () => {
  const dataDir = temporaryFolder();
  const part = (roles: NonNullable<DaybookOptions['roles']>) => startDaybook({ tasks: [handle(add, ({ left, right }) => left + right)], dataDir, roles, logLevel: 'error' });
  const types = async () => (await readEvidence(dataDir)).records.map(({ type }) => type);

  const api = await part(['api']);
  const held = await api.submit(add, { left: 2, right: 3 });
  await expect(api.get(held.id)).rejects.toThrow(/diary role does not run in this process/);
  expect(api.url).toBeNull();
  await api.stop();
  expect(await types()).toEqual(['TaskAccepted']);

  const dispatcher = await part(['dispatcher']);
  await eventually(async () => (await types()).length === 2);
  await expect(dispatcher.submit(add, { left: 1, right: 1 })).rejects.toThrow(/api role does not run in this process/);
  await dispatcher.stop();
  const dispatched = await readEvidence(dataDir);
  expect(dispatched.jobs).toEqual([{ taskId: held.id, attempt: 1, issue: 1 }]);

  const worker = await part(['worker']);
  await eventually(async () => (await readEvidence(dataDir)).jobs.length === 0);
  await worker.stop();
  expect(await types()).toEqual(['TaskAccepted', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionCompleted']);

  const diary = await part(['diary']);
  expect(await diary.wait(held.id)).toMatchObject({ state: 'completed', result: 5 });
  await diary.stop();
  expectGuarantees(await readEvidence(dataDir, { receipts: [held] }));
});

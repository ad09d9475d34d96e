import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle } from '../../src/index.ts';
import { readEvidence, type HeldReceipt } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventsOf, finished, get, post } from '../support/daybook-http.ts';
import { startInProcess } from '../support/daybook-in-process.ts';

const greet = defineTask({ type: 'greet', payload: z.object({ name: z.string() }), result: z.string() });

it('carries a task from its submission to its result, and the log tells every step', async () => {
  const { url, folder, daybook } = await startInProcess({ tasks: [handle(greet, ({ name }) => `Hello, ${name}!`)] });

  const submitted = await post<HeldReceipt & { type: string }>(`${url}/v1/tasks`, { type: 'greet', payload: { name: 'Ada' } });
  expect(submitted.status).toBe(202);
  const { id, receipt } = submitted.body;
  expect(submitted.headers.get('location')).toBe(`/v1/tasks/${id}`);

  expect(await finished(url, id)).toMatchObject({ state: 'completed', attempt: 1, result: 'Hello, Ada!' });

  const events = await eventsOf(url, id);
  expect(events.map(({ offset, type }) => [offset, type])).toEqual([
    [0, 'TaskAccepted'],
    [1, 'TaskDispatched'],
    [2, 'TaskExecutionStarted'],
    [3, 'TaskExecutionCompleted'],
  ]);
  const [accepted, dispatched, started, completed] = events;
  expect(accepted?.data).toMatchObject({ taskId: id, type: 'greet', typeVersion: 1, payload: { name: 'Ada' }, submitter: 'anonymous' });
  expect(dispatched?.data).toMatchObject({ attempt: 1, queue: 'default', issue: 1 });
  expect(started?.data).toMatchObject({ attempt: 1, redelivered: false, guarded: true });
  expect(completed?.data).toMatchObject({ executionId: started?.data['executionId'], result: 'Hello, Ada!' });

  // Whoever holds the receipt can check it against the raw record.
  const { body } = await get<{ items: Array<{ offset: number; headers: Record<string, string>; value: string }> }>(`${url}/v1/log?offset=${receipt.offset}&limit=1`);
  expect(body.items[0]).toMatchObject({ offset: receipt.offset, headers: { ce_id: receipt.eventId, ce_time: receipt.acceptedAt } });
  expect(createHash('sha256').update(Buffer.from(body.items[0]!.value, 'base64')).digest('hex')).toBe(receipt.sha256);

  await daybook.stop();
  expectGuarantees(await readEvidence(folder, { receipts: [submitted.body] }));
});

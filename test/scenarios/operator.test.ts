import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle } from '../../src/index.ts';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventsOf, finished, get, post, submit, type TaskBody } from '../support/daybook-http.ts';
import { startInProcess } from '../support/daybook-in-process.ts';
import { eventually } from '../support/eventually.ts';

/** A task whose handler fails until somebody mends what it needs. */
function fragileTask() {
  const world = { mended: false, runs: 0 };
  const fragile = defineTask({ type: 'fragile', payload: z.object({}), result: z.number(), retry: { maxAttempts: 2, backoff: 'fixed', base: '20ms' } });
  const handler = handle(fragile, () => {
    world.runs += 1;
    if (!world.mended) throw new Error('the other side is down');
    return world.runs;
  });
  return { world, tasks: [handler] };
}

const types = async (url: string, id: string) => (await eventsOf(url, id)).map(({ type }) => type);

it('cancels a task that waits, on request, and it never runs', async () => {
  const { world, tasks } = fragileTask();
  const { url, folder, daybook } = await startInProcess({ tasks });
  const held = await submit(url, { type: 'fragile', payload: {}, options: { notBefore: '1h' } });
  expect(await post(`${url}/v1/tasks/${held.id}/cancel`, { reason: 'ordered by mistake' })).toMatchObject({ status: 202, body: { id: held.id, receipt: { offset: 1 } } });

  expect(await finished(url, held.id)).toMatchObject({ state: 'cancelled', attempt: 0, reason: 'ordered by mistake' });
  expect(await types(url, held.id)).toEqual(['TaskAccepted', 'TaskCancellationRequested', 'TaskCancelled']);
  expect(world.runs).toBe(0);
  await daybook.stop();
  expectGuarantees(await readEvidence(folder, { receipts: [held] }));
});

it('opens a failed task again, on request, with a fresh budget of attempts', async () => {
  const { world, tasks } = fragileTask();
  const { url, folder, daybook } = await startInProcess({ tasks });
  const held = await submit(url, { type: 'fragile', payload: {} });
  expect(await finished(url, held.id)).toMatchObject({ state: 'failed', attempt: 2 });

  world.mended = true;
  expect(await post(`${url}/v1/tasks/${held.id}/retry`, { reason: 'the other side is back' })).toMatchObject({ status: 202 });
  const completed = () => get<TaskBody>(`${url}/v1/tasks/${held.id}`).then(({ body }) => body.state === 'completed' && body);
  expect(await eventually(completed, { timeoutMs: 20_000 })).toMatchObject({ attempt: 3, result: 3 });
  expect((await types(url, held.id)).slice(-6)).toEqual([
    'TaskFailedPermanently', 'TaskRetryRequested', 'TaskRetryScheduled', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionCompleted',
  ]);
  await daybook.stop();
  expectGuarantees(await readEvidence(folder, { receipts: [held] }));
});

it('keeps a request that cannot be granted, shows why, and does nothing', async () => {
  const { world, tasks } = fragileTask();
  world.mended = true;
  const { url, folder, daybook } = await startInProcess({ tasks });
  const held = await submit(url, { type: 'fragile', payload: {} });
  await finished(url, held.id);
  await post(`${url}/v1/tasks/${held.id}/retry`, { reason: 'once more' });
  await post(`${url}/v1/tasks/${held.id}/cancel`, { reason: 'too late' });

  const later = await submit(url, { type: 'fragile', payload: {} });
  await finished(url, later.id);
  const events = await eventsOf(url, held.id);
  expect(events.slice(4).map(({ type, void: why }) => [type, why?.code])).toEqual([
    ['TaskRetryRequested', 'not-retryable'],
    ['TaskCancellationRequested', 'already-ended'],
  ]);
  expect(world.runs).toBe(2);
  await daybook.stop();
  expectGuarantees(await readEvidence(folder, { receipts: [held, later] }));
});

import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle, PermanentFailure, RetryAfter } from '../../src/index.ts';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventsOf, finished, submit, type EventBody } from '../support/daybook-http.ts';
import { startInProcess } from '../support/daybook-in-process.ts';

const retry = { maxAttempts: 3, backoff: 'exponential', base: '60ms', max: '5s' } as const;
const flaky = defineTask({ type: 'flaky', payload: z.object({ failures: z.number() }), result: z.number(), retry });
const busy = defineTask({ type: 'busy', payload: z.object({}), result: z.number(), retry });
const broken = defineTask({ type: 'broken', payload: z.object({}), retry });

const tasks = [
  handle(flaky, ({ failures }, { attempt }) => {
    if (attempt <= failures) throw new Error(`attempt ${attempt} fails`);
    return attempt;
  }),
  handle(busy, (_payload, { attempt }) => {
    if (attempt === 1) throw new RetryAfter('150ms', 'come back later');
    return attempt;
  }),
  handle(broken, () => {
    throw new PermanentFailure('it will never work', { code: 'no-such-account' });
  }),
];

const attempt = (number: number, end: string) =>
  [`TaskDispatched ${number}`, `TaskExecutionStarted ${number}`, `${end} ${number}`] as const;
const told = (events: readonly EventBody[]) => events.map(({ type, attempt }) => (attempt === undefined ? type : `${type} ${attempt}`));
const timeMs = (event: EventBody | undefined) => Date.parse(event?.time ?? '');

/** For each retry: the delay that the log says, and whether the attempt waited for it. */
function delays(events: readonly EventBody[]) {
  return events
    .filter(({ type }) => type === 'TaskRetryScheduled')
    .map((scheduled) => {
      const failed = events.find(({ type, attempt }) => type === 'TaskExecutionFailed' && attempt === scheduled.attempt! - 1);
      const dispatched = events.find(({ type, attempt }) => type === 'TaskDispatched' && attempt === scheduled.attempt);
      const dueMs = Date.parse(String(scheduled.data['dueAt']));
      return { delayMs: dueMs - timeMs(failed), waited: timeMs(dispatched) >= dueMs };
    });
}

it('retries a task that fails, each time after the delay that its policy says, until it succeeds', async () => {
  const { url, folder, daybook } = await startInProcess({ tasks });
  const held = await submit(url, { type: 'flaky', payload: { failures: 2 } });
  expect(await finished(url, held.id)).toMatchObject({ state: 'completed', attempt: 3, result: 3 });

  const events = await eventsOf(url, held.id);
  expect(told(events)).toEqual([
    'TaskAccepted',
    ...attempt(1, 'TaskExecutionFailed'),
    'TaskRetryScheduled 2',
    ...attempt(2, 'TaskExecutionFailed'),
    'TaskRetryScheduled 3',
    ...attempt(3, 'TaskExecutionCompleted'),
  ]);
  expect(events[3]?.data).toMatchObject({ cause: 'handler', error: { name: 'Error', message: 'attempt 1 fails', retryable: true } });

  // base 60 ms, doubled for each failure, times a factor in [0.5, 1] that is seeded by task and attempt.
  const [first, second] = delays(events);
  expect(first).toMatchObject({ waited: true });
  expect(first!.delayMs).toBeGreaterThanOrEqual(30);
  expect(first!.delayMs).toBeLessThanOrEqual(60);
  expect(second).toMatchObject({ waited: true });
  expect(second!.delayMs).toBeGreaterThanOrEqual(60);
  expect(second!.delayMs).toBeLessThanOrEqual(120);

  await daybook.stop();
  expectGuarantees(await readEvidence(folder, { receipts: [held] }));
});

it('waits as long as the handler asked for, in place of the computed delay', async () => {
  const { url } = await startInProcess({ tasks });
  const { id } = await submit(url, { type: 'busy', payload: {} });
  expect(await finished(url, id)).toMatchObject({ state: 'completed', attempt: 2 });
  expect(delays(await eventsOf(url, id))).toEqual([{ delayMs: 150, waited: true }]);
});

it('fails a task for good when its attempts are used up, and dispatches nothing more', async () => {
  const { url, folder, daybook } = await startInProcess({ tasks });
  const held = await submit(url, { type: 'flaky', payload: { failures: 9 } });
  expect(await finished(url, held.id)).toMatchObject({ state: 'failed', attempt: 3, reason: 'attempts-exhausted' });

  const events = await eventsOf(url, held.id);
  expect(told(events)).toEqual([
    'TaskAccepted',
    ...attempt(1, 'TaskExecutionFailed'),
    'TaskRetryScheduled 2',
    ...attempt(2, 'TaskExecutionFailed'),
    'TaskRetryScheduled 3',
    ...attempt(3, 'TaskExecutionFailed'),
    'TaskFailedPermanently',
  ]);
  expect(events.at(-1)?.data).toMatchObject({ reason: 'attempts-exhausted', attempts: 3 });

  // Work that was submitted afterwards has gone all the way: had there been anything more to do, it would be done.
  const later = await submit(url, { type: 'flaky', payload: { failures: 0 } });
  await finished(url, later.id);
  expect(await eventsOf(url, held.id)).toHaveLength(events.length);
  await daybook.stop();
  expectGuarantees(await readEvidence(folder, { receipts: [held, later] }));
});

it('does not retry what the handler calls permanent', async () => {
  const { url } = await startInProcess({ tasks });
  const { id } = await submit(url, { type: 'broken', payload: {} });
  expect(await finished(url, id)).toMatchObject({ state: 'failed', attempt: 1, reason: 'not-retryable', error: { code: 'no-such-account', retryable: false } });
  expect(told(await eventsOf(url, id))).toEqual(['TaskAccepted', ...attempt(1, 'TaskExecutionFailed'), 'TaskFailedPermanently']);
});

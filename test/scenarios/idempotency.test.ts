import { expect, it } from 'vitest';
import { readEvidence, type HeldReceipt } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventsOf, finished, post, submit, type Answer } from '../support/daybook-http.ts';
import { readEffects, startDaybookProcess } from '../support/daybook-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = { 'idempotency-key': 'order-4711' };
const submission = { type: 'scenario.effect', payload: { name: 'once' } };

function fiftyTimes(url: string): Promise<Array<Answer<HeldReceipt>>> {
  return Promise.all(Array.from({ length: 50 }, () => post<HeldReceipt>(`${url}/v1/tasks`, submission, key)));
}

it('makes one task of fifty submissions of one key, and of fifty more after each restart', async () => {
  const folder = `${temporaryFolder()}/data`;

  const first = await startDaybookProcess({ folder });
  const answers = await fiftyTimes(first.url);
  const ids = new Set(answers.map(({ body }) => body.id));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  expect(ids.size).toBe(1);
  // They shared one append: one receipt, and all but the first say so.
  expect(new Set(answers.map(({ body }) => body.receipt.offset))).toEqual(new Set([0]));
  expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(49);
  const [id] = [...ids] as [string];
  await finished(first.url, id);
  expect(await first.end('SIGTERM')).toEqual({ code: 0, signal: null });

  const second = await startDaybookProcess({ folder });
  answers.push(...(await fiftyTimes(second.url)));
  await second.end('SIGKILL');

  const third = await startDaybookProcess({ folder });
  answers.push(...(await fiftyTimes(third.url)));
  expect(answers.map(({ status, body }) => [status, body.id])).toEqual(Array.from({ length: 150 }, () => [202, id]));

  // What was submitted after them has run; had a repeat been able to start anything, it would have started.
  const marker = await submit(third.url, { type: 'scenario.effect', payload: { name: 'marker' } });
  await finished(third.url, marker.id);
  const events = await eventsOf(third.url, id);
  expect(events.map(({ type, duplicateOf }) => [type, duplicateOf])).toEqual([
    ['TaskAccepted', undefined],
    ['TaskDispatched', undefined],
    ['TaskExecutionStarted', undefined],
    ['TaskExecutionCompleted', undefined],
    ['TaskAccepted', 0],
    ['TaskAccepted', 0],
  ]);

  await third.end('SIGTERM');
  const effects = readEffects(folder);
  expect(effects.filter(({ taskId }) => taskId === id)).toHaveLength(1);
  const receipts = [...answers.map(({ body }) => body), marker];
  expectGuarantees(await readEvidence(folder, { receipts, effects }));
});

it('refuses another request under a known key, and records nothing of it', async () => {
  const folder = `${temporaryFolder()}/data`;
  const { url, end } = await startDaybookProcess({ folder });
  await submit(url, submission, 'order-1');
  const other = { ...submission, payload: { name: 'another' } };
  expect(await post(`${url}/v1/tasks`, other, { 'idempotency-key': 'order-1' })).toMatchObject({ status: 422, body: { code: 'idempotency-mismatch' } });
  await end('SIGTERM');
  const { records } = await readEvidence(folder);
  expect(records.filter(({ type }) => type === 'TaskAccepted' || type === 'TaskRejected')).toHaveLength(1);
});

import { expect, it } from 'vitest';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventsOf, finished, submit } from '../support/daybook-http.ts';
import { readEffects, startDaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const task = (name: string, options: Readonly<Record<string, unknown>>) => ({ type: 'scenario.effect', payload: { name }, options });
const offset = (events: readonly { type: string; time: string }[], type: string) => Date.parse(events.find((event) => event.type === type)?.time ?? '') - Date.parse(events[0]!.time);

it.each(['SIGKILL', 'SIGTERM'] as const)('keeps notBefore and expiresAt over a restart after %s', async (signal) => {
  const folder = `${temporaryFolder()}/data`;
  const first = await startDaybookProcess({ folder });
  const delayed = await submit(first.url, task('delayed', { notBefore: '4s' }));
  const missed = await submit(first.url, task('missed', { notBefore: 100, expiresAt: '10ms' }));
  const expiring = await submit(first.url, task('expiring', { notBefore: '3500ms', expiresAt: '3600ms' }));
  const inTime = await submit(first.url, task('in-time', { expiresAt: '1h' }));
  // A task that cannot start before it expires ends while the process lives; no timer of it is left for later.
  await finished(first.url, missed.id);
  await finished(first.url, inTime.id);
  await first.end(signal);

  // Nobody is there when the expiry comes.
  await eventually(() => Date.now() > Date.parse(expiring.receipt.acceptedAt) + 3_600, { timeoutMs: 10_000 });
  const second = await startDaybookProcess({ folder });
  expect(await finished(second.url, expiring.id)).toMatchObject({ state: 'failed', reason: 'expired', attempt: 0 });
  expect(await finished(second.url, delayed.id)).toMatchObject({ state: 'completed', attempt: 1 });

  const expired = await eventsOf(second.url, expiring.id);
  expect(expired.map(({ type }) => type)).toEqual(['TaskAccepted', 'TaskFailedPermanently']);
  expect(offset(expired, 'TaskFailedPermanently')).toBeGreaterThanOrEqual(3_600);
  const waited = await eventsOf(second.url, delayed.id);
  expect(waited.map(({ type }) => type)).toEqual(['TaskAccepted', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionCompleted']);
  expect(offset(waited, 'TaskDispatched')).toBeGreaterThanOrEqual(4_000);
  expect((await eventsOf(second.url, missed.id)).map(({ type }) => type)).toEqual(['TaskAccepted', 'TaskFailedPermanently']);

  expect(await second.end('SIGTERM')).toEqual({ code: 0, signal: null });
  const effects = readEffects(folder);
  expect(new Set(effects.map(({ taskId }) => taskId))).toEqual(new Set([delayed.id, inTime.id]));
  expectGuarantees(await readEvidence(folder, { receipts: [delayed, missed, expiring, inTime], effects }));
});

it('acts on a delay that is still to come after a restart, when its time comes', async () => {
  const folder = `${temporaryFolder()}/data`;
  const first = await startDaybookProcess({ folder });
  const delayed = await submit(first.url, task('delayed', { notBefore: '8s' }));
  await first.end('SIGKILL');

  const second = await startDaybookProcess({ folder });
  await finished(second.url, delayed.id);
  expect(offset(await eventsOf(second.url, delayed.id), 'TaskDispatched')).toBeGreaterThanOrEqual(8_000);
  await second.end('SIGTERM');
  expectGuarantees(await readEvidence(folder, { receipts: [delayed], effects: readEffects(folder) }));
});

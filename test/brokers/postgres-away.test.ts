import { describe, expect, it } from 'vitest';
import type { HeldReceipt, RecordedEvent } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { isOutcome } from '../guarantees/histories-of-tasks.ts';
import { expectOneExecutionEach } from '../guarantees/one-execution-each.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, projection, submit, untilReady } from '../support/daybook-http.ts';
import { eventually } from '../support/eventually.ts';
import { outages, ownServer } from '../support/own-server.ts';

const postgres = ownServer('postgres');

const leaseMs = 3_000;
const patience = { timeoutMs: 60_000 };
const submitAll = (url: string, name: string, count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => submit(url, { type: 'scenario.effect', payload: { name: `${name} ${index}` } })));

describe.skipIf(!postgres)('while PostgreSQL is away', { timeout: 240_000 }, () => {
  it.each(outages)('execution goes on, unguarded and saying so, and the diary catches up by itself (%s)', async (kind) => {
    const system = new BrokersSystem({ DAYBOOK_LEASE_MS: String(leaseMs) });
    const [{ api, diary, worker, dispatcher }] = await Promise.all([system.startAll(), system.start('worker')]);
    const before = await submitAll(api.url, 'before', 10);
    for (const { id } of before) await finished(diary.url, id);
    const endsInside = await system.submitHeld(api.url, 'ends inside');
    const endsAfter = await system.submitHeld(api.url, 'ends after');

    await postgres!.begin(kind);
    const inside: HeldReceipt[] = [];
    for (let round = 0; round < 3; round++) {
      const submitted = await submitAll(api.url, `inside ${round}`, 10);
      const acceptedMs = performance.now();
      await eventually(() => submitted.every(({ id }) => system.runsOf(id) === 1), patience);
      // Claims that do not answer hold up what would begin, but for less than a lease.
      expect(performance.now() - acceptedMs).toBeLessThan(leaseMs);
      inside.push(...submitted);
    }
    endsInside.letEnd();
    const ids = new Set([...before, ...inside, endsInside].map(({ id }) => id));
    const recorded = await eventually(async () => {
      const events = (await system.records()).filter(({ key }) => ids.has(key ?? ''));
      return events.filter(isOutcome).length === ids.size ? events : null;
    }, patience);
    const guardedOf = (id: string) => recorded.find(({ type, key }) => type === 'TaskExecutionStarted' && key === id)?.data['guarded'];
    expect(before.map(({ id }) => guardedOf(id))).toEqual(before.map(() => true));
    expect(inside.map(({ id }) => guardedOf(id))).toEqual(inside.map(() => false));
    await eventually(async () => (await get(`${diary.url}/readyz`)).status === 503, { timeoutMs: 20_000 });
    await eventually(async () => (await get(`${diary.url}/v1/tasks/${inside[0]!.id}`)).status === 503, { timeoutMs: 20_000 });
    for (const role of [api, dispatcher, worker]) expect(await get(`${role.url}/readyz`)).toMatchObject({ status: 200 });

    await postgres!.bringBack();
    endsAfter.letEnd();
    const receipts = [...before, ...inside, endsInside, endsAfter];
    // The diary may say 503 once more, on a connection that had hung, and is asked again as it says.
    for (const { id } of receipts) expect(await eventually(() => finished(diary.url, id), patience)).toMatchObject({ state: 'completed', attempt: 1 });
    // The claims are asked again by themselves, too.
    await eventually(async () => {
      const [task] = await submitAll(api.url, 'after', 1);
      receipts.push(task!);
      await eventually(() => finished(diary.url, task!.id), patience);
      return (await system.eventsOf(task!.id)).some(({ type, data }) => type === 'TaskExecutionStarted' && data['guarded'] === true);
    }, patience);
    await eventually(async () => (await projection(diary.url)).lag === 0, patience);
    for (const role of [diary, worker]) await untilReady(role.url, patience.timeoutMs);

    const evidence = await system.evidence(receipts);
    expectOneExecutionEach(evidence, receipts.map(({ id }) => id));
    expectGuarantees({ ...evidence, heldClaims: evidence.heldClaims.filter(({ taskId }) => !hasOutcome(evidence.records, taskId)) });
  });
});

/** A claim that could not be told the outcome stays behind. Nobody asks for it: the job is acknowledged. */
function hasOutcome(records: readonly RecordedEvent[], taskId: string): boolean {
  return records.some((record) => record.key === taskId && isOutcome(record));
}

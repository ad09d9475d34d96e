import { describe, expect, it } from 'vitest';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { expectOneExecutionEach } from '../guarantees/one-execution-each.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, submit, untilReady } from '../support/daybook-http.ts';
import { eventually } from '../support/eventually.ts';
import { outages, ownServer } from '../support/own-server.ts';

const rabbitmq = ownServer('rabbitmq');

const patience = { timeoutMs: 60_000 };
const submitAll = (url: string, name: string, count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => submit(url, { type: 'scenario.effect', payload: { name: `${name} ${index}` } })));

describe.skipIf(!rabbitmq)('while RabbitMQ is away', { timeout: 240_000 }, () => {
  it.each(outages)('tasks are accepted, none counts as dispatched, and afterwards each runs once, by itself (%s)', async (kind) => {
    const system = new BrokersSystem();
    const [{ api, diary, dispatcher, worker }] = await Promise.all([system.startAll(), system.start('worker')]);
    const dispatches = async () => (await system.records()).filter(({ type }) => type === 'TaskDispatched');
    const before = await submitAll(api.url, 'before', 10);
    for (const { id } of before) await finished(diary.url, id);
    const endsInside = await system.submitHeld(api.url, 'ends inside');
    const endsAfter = await system.submitHeld(api.url, 'ends after');
    await eventually(async () => (await dispatches()).length === 12, patience);

    await rabbitmq!.begin(kind);
    const inside = await submitAll(api.url, 'inside', 20);
    // Execution does not need the queue: what runs is recorded as ever, and acknowledged later.
    endsInside.letEnd();
    expect(await finished(diary.url, endsInside.id)).toMatchObject({ state: 'completed' });
    // Until the dispatcher knows: a publish that is not answered is given up after 10 s.
    await eventually(async () => (await get<Readiness>(`${dispatcher.url}/readyz`)).body.dependencies['dispatcher.queue']?.ok === false, { timeoutMs: 30_000 });
    await eventually(async () => (await get<Readiness>(`${worker.url}/readyz`)).body.dependencies['queue.connection']?.ok === false, { timeoutMs: 40_000 });
    inside.push(...(await submitAll(api.url, 'still inside', 10)));
    expect(await dispatches()).toHaveLength(12);

    const backMs = Date.now();
    await rabbitmq!.bringBack();
    endsAfter.letEnd();
    const after = await submitAll(api.url, 'after', 10);
    const receipts = [...before, endsInside, endsAfter, ...inside, ...after];
    for (const { id } of receipts) expect(await finished(diary.url, id)).toMatchObject({ state: 'completed', attempt: 1 });
    for (const role of [api, dispatcher, worker, diary]) await untilReady(role.url, patience.timeoutMs);
    await eventually(async () => (await system.unacknowledged()) === 0, patience);

    const evidence = await system.evidence(receipts);
    expectOneExecutionEach(evidence, receipts.map(({ id }) => id));
    const waited = new Set(inside.map(({ id }) => id));
    const early = evidence.records.filter(({ type, key, time }) => type === 'TaskDispatched' && waited.has(key ?? '') && Date.parse(time) < backMs);
    expect(early).toEqual([]);
    expectGuarantees(evidence);
  });
});

interface Readiness {
  readonly dependencies: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>;
}

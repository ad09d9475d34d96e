import { describe, expect, it, onTestFinished } from 'vitest';
import type { HeldReceipt } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { expectOneExecutionEach } from '../guarantees/one-execution-each.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, post, untilReady, type ProblemBody } from '../support/daybook-http.ts';
import { eventually } from '../support/eventually.ts';
import { KafkaTestTopic } from '../support/kafka-harness.ts';
import { firstAcknowledged } from '../support/kafka-outsider.ts';
import { outages, ownServer } from '../support/own-server.ts';

const kafka = ownServer('kafka');

/** The outage is longer than either, so that whoever lost something by it has lost it. */
const settings = { DAYBOOK_LEASE_MS: '3000', DAYBOOK_SESSION_MS: '3000' };
const patience = { timeoutMs: 60_000 };

describe.skipIf(!kafka)('while Kafka is away', { timeout: 240_000 }, () => {
  it.each(outages)('nothing is acknowledged, no outcome is lost, no attempt runs twice, and all goes on by itself (%s)', async (kind) => {
    const system = new BrokersSystem(settings);
    const outside = new KafkaTestTopic();
    onTestFinished(() => outside.remove());
    const [{ api, diary, dispatcher, worker }] = await Promise.all([system.startAll(), system.start('worker'), outside.create(1)]);
    const receipts = await attemptAll(api.url, 'before', 10).then((all) => all.map(receiptOf));
    for (const { id } of receipts) await finished(diary.url, id);
    const endsInside = await system.submitHeld(api.url, 'ends inside');
    const endsAfter = await system.submitHeld(api.url, 'ends after');

    // Some of these meet the outage on their way.
    const meeting = attemptAll(api.url, 'meeting', 20);
    await kafka!.begin(kind);
    endsInside.letEnd();
    const refused = await attemptAll(api.url, 'refused', 10);
    for (const { status, code, retryAfter, tookMs } of refused) {
      expect({ status, code, retryAfter }).toEqual({ status: 503, code: 'diary-unavailable', retryAfter: expect.stringMatching(/^[1-9]\d*$/) as unknown });
      expect(tookMs).toBeLessThan(5_000);
    }
    expect(await get(`${api.url}/readyz`)).toMatchObject({ status: 503, body: { dependencies: { 'log.connection': { ok: false } } } });
    expect(await get(`${dispatcher.url}/readyz`)).toMatchObject({ status: 503, body: { dependencies: { 'dispatcher.partitions': { ok: false } } } });
    // Its handler has ended: the outcome stands in the claim, and the job stays unacknowledged, as that of the other.
    await eventually(async () => (await system.storedOutcomes(endsInside.id)) === 1);
    expect(await system.unacknowledged()).toBeGreaterThanOrEqual(2);

    const [, outsiderMs, acceptedMs] = await Promise.all([
      kafka!.bringBack(),
      firstAcknowledged(outside.connection, outside.topic, patience.timeoutMs),
      eventually(async () => ((await attempt(api.url, 'refused 0')).status === 202 ? performance.now() : null), patience),
    ]);
    expect(acceptedMs - outsiderMs).toBeLessThan(5_000);
    await untilReady(api.url, 5_000);
    for (const role of [dispatcher, worker, diary]) await untilReady(role.url, patience.timeoutMs);

    // Whoever was answered 503 sends the same again under the same key; whoever was answered 202 need not, and may.
    for (const answer of [...(await meeting), ...refused]) receipts.push(...[answer, await attempt(api.url, answer.key)].flatMap(heldReceipt));
    receipts.push(endsInside, endsAfter, ...(await attemptAll(api.url, 'after', 10)).map(receiptOf));
    endsAfter.letEnd();
    for (const { id } of receipts) expect(await finished(diary.url, id)).toMatchObject({ state: 'completed', attempt: 1 });

    const evidence = await system.evidence(receipts);
    expectOneExecutionEach(evidence, receipts.map(({ id }) => id));
    expectGuarantees(evidence);
  });
});

interface Answered {
  readonly key: string;
  readonly status: number;
  readonly code: string | null;
  readonly retryAfter: string | null;
  readonly tookMs: number;
  readonly receipt: HeldReceipt | null;
}

/** Submits once, under a key that is the task's name, too. */
async function attempt(url: string, key: string): Promise<Answered> {
  const sentMs = performance.now();
  const submission = { type: 'scenario.effect', payload: { name: key } };
  const { status, headers, body } = await post<HeldReceipt | ProblemBody>(`${url}/v1/tasks`, submission, { 'idempotency-key': key });
  const answer = { key, status, retryAfter: headers.get('retry-after'), tookMs: performance.now() - sentMs };
  return 'receipt' in body ? { ...answer, code: null, receipt: body } : { ...answer, code: body.code, receipt: null };
}

function attemptAll(url: string, name: string, count: number): Promise<Answered[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => attempt(url, `${name} ${index}`)));
}

function heldReceipt({ receipt }: Answered): readonly HeldReceipt[] {
  return receipt ? [receipt] : [];
}

function receiptOf({ key, status, receipt }: Answered): HeldReceipt {
  if (!receipt) throw new Error(`'${key}' was answered ${status}`);
  return receipt;
}

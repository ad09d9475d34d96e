import { describe, expect, it } from 'vitest';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { submit } from '../support/daybook-http.ts';
import { readEffects } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { ownServer } from '../support/own-server.ts';
import { removeTopic } from '../support/rabbitmq-broker.ts';

const patience = { timeoutMs: 60_000 };
const jobs = 500;
/** So that a loss is found within seconds. */
const quick = { DAYBOOK_SWEEP_MS: '1000', DAYBOOK_PRESENCE_MS: '3000' };

const rabbitmq = ownServer('rabbitmq');

describe('jobs that wait in RabbitMQ', () => {
  it('are issued again, and every task ends, when their queue is deleted', async () => {
    const reasons = await loseJobsBy((topic) => removeTopic(topic, ['default']));
    expect(reasons).toContain('queue lost');
  });

  it.skipIf(!rabbitmq)('are issued again, and every task ends, when RabbitMQ is wiped, which is recorded', async () => {
    const reasons = await loseJobsBy(async () => {
      await rabbitmq!.wipe();
      await rabbitmq!.bringBack();
    });
    // Not of all: what was dispatched just before, no sweep may have seen until the queue was found gone.
    expect(reasons).toContain('queue lost');
  });
});

/** @returns why jobs were issued again */
async function loseJobsBy(lose: (topic: string) => Promise<void>): Promise<ReadonlyArray<string | undefined>> {
  const system = new BrokersSystem();
  const [api] = await Promise.all([system.start('api'), system.start('dispatcher', quick)]);
  const receipts = await Promise.all(Array.from({ length: jobs }, (_, index) => submit(api.url, { type: 'scenario.effect', payload: { name: `task ${index}` } })));
  const recorded = async (type: string) => (await system.records()).filter((record) => record.type === type);
  await eventually(async () => (await recorded('TaskDispatched')).length === jobs, patience);

  await lose(system.topic);
  await system.start('worker', quick);
  await eventually(async () => (await recorded('TaskExecutionCompleted')).length === jobs, patience);

  expect(readEffects(system.folder)).toHaveLength(jobs);
  const dispatches = await recorded('TaskDispatched');
  for (const { id } of receipts) {
    expect(dispatches.filter(({ key }) => key === id).map(({ data }) => data)).toMatchObject([
      { attempt: 1, issue: 1 },
      { attempt: 1, issue: 2, reason: expect.stringMatching(/^(presumed|queue) lost$/) },
    ]);
  }
  expectGuarantees(await system.evidence(receipts));
  return dispatches.filter(({ data }) => data.issue === 2).map(({ data }) => data.reason);
}

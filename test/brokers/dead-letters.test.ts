import { expect, it } from 'vitest';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { expectOneExecutionEach } from '../guarantees/one-execution-each.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, submit } from '../support/daybook-http.ts';
import { eventually } from '../support/eventually.ts';
import { wearOut } from '../support/rabbitmq-broker.ts';

it('executes a job that RabbitMQ gave up on, under the issue it had', async () => {
  const system = new BrokersSystem();
  const [api, diary] = await Promise.all([system.start('api'), system.start('diary'), system.start('dispatcher')]);
  const receipt = await submit(api.url, { type: 'scenario.effect', payload: { name: 'given up' } });
  await eventually(async () => (await system.eventsOf(receipt.id)).some(({ type }) => type === 'TaskDispatched'), { timeoutMs: 20_000 });
  await wearOut(system.topic, 'default');

  await system.start('worker');
  expect(await finished(diary.url, receipt.id)).toMatchObject({ state: 'completed', attempt: 1 });
  const evidence = await system.evidence([receipt]);
  expectOneExecutionEach(evidence, [receipt.id]);
  expect(evidence.records.filter(({ type }) => type === 'TaskDispatched')).toHaveLength(1);
  expectGuarantees(evidence);
});

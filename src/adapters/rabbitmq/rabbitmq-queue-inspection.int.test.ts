import { expect, it, onTestFinished } from 'vitest';
import { queueInspectionContract } from '../../../test/contracts/queue-inspection.contract.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { rabbitmqQueueInspectionHarness, RabbitmqRig } from '../../../test/support/rabbitmq-harness.ts';
import { hasCode } from '../../domain/errors.ts';
import { RabbitmqQueueInspection } from './rabbitmq-queue-inspection.ts';

queueInspectionContract({ name: 'RabbitMQ', create: rabbitmqQueueInspectionHarness });

async function startedRig() {
  const rig = await RabbitmqRig.start();
  onTestFinished(() => rig.close());
  const { receiver } = await rig.open();
  const inspection = new RabbitmqQueueInspection({ ...rig.options, name: 'test inspection' });
  onTestFinished(() => inspection.close());
  await eventually(() => inspection.health().ok);
  return { rig, receiver, inspection };
}

it('does not take for empty a queue that nobody consumes, for so answers a broker whose queue is silent', async () => {
  const { receiver, inspection } = await startedRig();
  await expect(inspection.readyJobs('default')).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable') && error.message.includes('nobody consumes it'));
  const consumer = receiver.consume('default', 1, () => {});
  await eventually(async () => (await inspection.readyJobs('default')) === 0);
  await consumer.stop();
  await eventually(() => inspection.readyJobs('default').then(() => false, (error: unknown) => hasCode(error, 'queue-unavailable')));
});

it('counts on the same connection again and again, and declares nothing', async () => {
  const { rig, inspection } = await startedRig();
  const { accepted } = rig.proxy;
  for (let look = 0; look < 50; look += 1) expect(await inspection.readyJobs('never.declared')).toBeNull();
  expect(rig.proxy.accepted).toBe(accepted);
});

it('makes a new connection when a question is not answered, so that channels do not pile up', async () => {
  const { rig, inspection } = await startedRig();
  const { accepted } = rig.proxy;
  rig.proxy.stall();
  await expect(inspection.readyJobs('default')).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
  expect(inspection.health().ok).toBe(false);
  rig.proxy.mend();
  await eventually(() => inspection.health().ok);
  expect(rig.proxy.accepted).toBeGreaterThan(accepted);
});

it('refuses at once without a connection, and when closed', async () => {
  const { rig, inspection } = await startedRig();
  rig.proxy.refuse();
  await eventually(() => !inspection.health().ok);
  await expect(inspection.readyJobs('default')).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
  await inspection.close();
  await inspection.close();
  await expect(inspection.readyJobs('default')).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
});

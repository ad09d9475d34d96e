import { expect } from 'vitest';
import { hasCode } from '../../src/domain/errors.ts';
import type { Job } from '../../src/domain/job.ts';
import type { JobDelivery, JobReceiver } from '../../src/ports/job-receiver.ts';
import type { JobSender } from '../../src/ports/job-sender.ts';
import type { QueueInspection } from '../../src/ports/queue-inspection.ts';
import { eventually } from '../support/eventually.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

export type QueueInspectionCapability = 'silent queue';

export interface InspectedQueue {
  readonly sender: JobSender;
  readonly receiver: JobReceiver;
  readonly inspection: QueueInspection;
}

export interface QueueInspectionHarness extends ContractHarness {
  open(): Promise<InspectedQueue>;
  /** Makes the queue unable to answer; the returned function mends it. */
  breakQueue(): Promise<() => Promise<void>>;
  /** How long a question may go without an answer. */
  readonly deadlineMs: number;
  readonly patienceMs: number;
}

type Check = ContractCheck<QueueInspectionHarness, QueueInspectionCapability>;

export function queueInspectionContract(adapter: AdapterUnderTest<QueueInspectionHarness, QueueInspectionCapability>): void {
  describeContract('QueueInspection', queueInspectionChecks, adapter);
}

export const queueInspectionChecks: readonly Check[] = [
  {
    name: 'finds no jobs in a queue that does not exist',
    async run(harness) {
      const { inspection } = await harness.open();
      expect((await inspection.readyJobs('never.heard.of')) ?? 0).toBe(0);
    },
  },
  {
    name: 'counts the jobs that wait, of each queue its own',
    async run(harness) {
      const { sender, inspection } = await harness.open();
      for (const index of [1, 2, 3]) await sender.send(job(index));
      await sender.send(job(4, 'heavy'));
      await eventually(async () => (await inspection.readyJobs('default')) === 3, within(harness));
      expect(await inspection.readyJobs('heavy')).toBe(1);
    },
  },
  {
    name: 'does not count what a consumer holds, nor what is done',
    async run(harness) {
      const { sender, receiver, inspection } = await harness.open();
      for (const index of [1, 2, 3, 4, 5]) await sender.send(job(index));
      const held: JobDelivery[] = [];
      receiver.consume('default', 2, (delivery) => held.push(delivery));
      await eventually(async () => held.length === 2 && (await inspection.readyJobs('default')) === 3, within(harness));
      await held[0]?.ack();
      await eventually(async () => held.length === 3 && (await inspection.readyJobs('default')) === 2, within(harness));
    },
  },
  {
    name: 'finds none when consumers hold everything, and counts what they give back',
    async run(harness) {
      const { sender, receiver, inspection } = await harness.open();
      const held: JobDelivery[] = [];
      const consumer = receiver.consume('default', 10, (delivery) => held.push(delivery));
      for (const index of [1, 2, 3]) await sender.send(job(index));
      await eventually(async () => held.length === 3 && (await inspection.readyJobs('default')) === 0, within(harness));
      await consumer.stop();
      await eventually(async () => (await inspection.readyJobs('default')) === 3, within(harness));
    },
  },
  {
    name: 'takes no job by looking',
    async run(harness) {
      const { sender, receiver, inspection } = await harness.open();
      await sender.send(job(1));
      for (let look = 0; look < 3; look += 1) await eventually(async () => (await inspection.readyJobs('default')) === 1, within(harness));
      const held: JobDelivery[] = [];
      receiver.consume('default', 10, (delivery) => held.push(delivery));
      await eventually(() => held.length === 1, within(harness));
      expect(held[0]?.redelivered).toBe(false);
    },
  },
  {
    name: 'says in time that the queue does not answer, rather than none, and counts again afterwards',
    needs: 'silent queue',
    async run(harness) {
      const { sender, inspection } = await harness.open();
      await sender.send(job(1));
      const mend = await harness.breakQueue();
      const startedMs = performance.now();
      await expect(inspection.readyJobs('default')).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
      expect(performance.now() - startedMs).toBeLessThan(harness.deadlineMs);
      await mend();
      await eventually(async () => (await inspection.readyJobs('default')) === 1, within(harness));
    },
  },
];

function job(index: number, queue = 'default'): Job {
  return { taskId: `task-${index}`, attempt: 1, issue: 1, queue, type: 'test.nothing', typeVersion: 1, payload: null, timeoutMs: 30_000, expiresAtMs: null };
}

function within({ patienceMs }: QueueInspectionHarness): { readonly timeoutMs: number } {
  return { timeoutMs: patienceMs };
}

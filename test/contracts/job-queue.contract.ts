import { expect } from 'vitest';
import { hasCode } from '../../src/domain/errors.ts';
import type { Job } from '../../src/domain/job.ts';
import type { JobDelivery, JobReceiver } from '../../src/ports/job-receiver.ts';
import type { JobSender } from '../../src/ports/job-sender.ts';
import { eventually } from '../support/eventually.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

export interface OpenQueue {
  readonly sender: JobSender;
  readonly receiver: JobReceiver;
  /** Idempotent. */
  close(): Promise<void>;
}

/** What can be done with a queue that is about to crash. */
export interface DoomedQueue {
  send(job: Job): ReturnType<JobSender['send']>;
  consume(queue: string, prefetch: number, deliver: (delivery: Pick<JobDelivery, 'job' | 'redelivered' | 'ack'>) => void): Promise<void>;
}

export type JobQueueCapability = 'crash' | 'refusal' | 'outage' | 'parking' | 'one copy';

export interface JobQueueHarness extends ContractHarness {
  /** Opens the queue. Every opening of one harness finds the same jobs; it is open once at a time. */
  open(): Promise<OpenQueue>;
  /** Runs `work` on the open queue, breaks everything off the moment it settles, and opens again. */
  reopenAfterCrash(work: (queue: DoomedQueue) => Promise<unknown>): Promise<OpenQueue>;
  /** Opens a queue that takes this many jobs and refuses further ones. */
  openWithRoomFor(jobs: number): Promise<OpenQueue>;
  /** Makes the open queue unable to take or to forget a job; the returned function mends it. */
  breakQueue(): Promise<() => Promise<void>>;
  /** Puts something that is no job into a queue, past the sender, while it is closed. */
  plantMalformedJob(queue: string): Promise<void>;
  /** How long to wait for a delivery that must come. */
  readonly patienceMs: number;
  /** How many malformed jobs the open queue has put aside. */
  parkedJobs(): number;
}

type Check = ContractCheck<JobQueueHarness, JobQueueCapability>;

export function jobQueueContract(adapter: AdapterUnderTest<JobQueueHarness, JobQueueCapability>): void {
  describeContract('JobSender and JobReceiver', jobQueueChecks, adapter);
}

const sending: readonly Check[] = [
  {
    name: 'confirms a send only when a crash cannot lose the job',
    needs: 'crash',
    async run(harness) {
      const confirmed = new Set<string>();
      const { receiver } = await harness.reopenAfterCrash(async (queue) => {
        const send = async (index: number) => {
          if ((await queue.send(job(index))).type === 'confirmed') confirmed.add(job(index).taskId);
        };
        await Promise.all(upTo(100).map(send).slice(0, 60));
      });
      expect(confirmed.size).toBeGreaterThanOrEqual(60);
      const received = collect(receiver);
      await eventually(() => [...confirmed].every((taskId) => received.some((each) => each.job.taskId === taskId)), within(harness));
    },
  },
  {
    name: 'delivers every field of a job as it was sent',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const sent: Job[] = [
        { ...job(1), attempt: 3, issue: 2, typeVersion: 7, payload: { deep: [1, null, { text: 'ü\n🎈' }], none: null }, timeoutMs: 1, expiresAtMs: 1_767_225_600_123 },
        { ...job(2), payload: null, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
        { ...job(3), payload: 'x'.repeat(100_000) },
      ];
      for (const each of sent) expect(await sender.send(each)).toEqual({ type: 'confirmed' });
      const received = collect(receiver);
      await eventually(() => received.length === sent.length, within(harness));
      const byTask = received.map((each) => each.job).toSorted((a, b) => a.taskId.localeCompare(b.taskId));
      expect(byTask).toEqual(sent);
      expect(received.map(({ redelivered, returns }) => [redelivered, returns])).toEqual([[false, 0], [false, 0], [false, 0]]);
    },
  },
  {
    name: 'delivers to a queue its own jobs only, those sent before and those sent while it is consumed',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      await sender.send({ ...job(1), queue: 'heavy' });
      await sender.send(job(2));
      const [light, heavy] = [collect(receiver), collect(receiver, 'heavy')];
      await sender.send({ ...job(3), queue: 'heavy' });
      await sender.send(job(4));
      await eventually(() => light.length === 2 && heavy.length === 2, within(harness));
      expect(light.map(taskOf).toSorted()).toEqual([job(2).taskId, job(4).taskId]);
      expect(heavy.map(taskOf).toSorted()).toEqual([job(1).taskId, job(3).taskId]);
    },
  },
  {
    name: 'says refused when the queue does not take the job, and does not have it then',
    needs: 'refusal',
    async run(harness) {
      const { sender, receiver } = await harness.openWithRoomFor(2);
      expect((await sender.send(job(1))).type).toBe('confirmed');
      expect((await sender.send(job(2))).type).toBe('confirmed');
      expect((await sender.send(job(3))).type).toBe('refused');
      const received = collect(receiver);
      await eventually(() => received.length === 2, within(harness));
      for (const each of received) await each.ack();
      expect((await sender.send(job(4))).type).toBe('confirmed');
      await eventually(() => received.length === 3, within(harness));
      expect(received.map(taskOf)).not.toContain(job(3).taskId);
    },
  },
  {
    name: 'never confirms a send that the queue could not keep, and works again by itself',
    needs: 'outage',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const mend = await harness.breakQueue();
      const outcome = await sender.send(job(1));
      expect(['unknown', 'not-sent', 'refused']).toContain(outcome.type);
      await mend();
      expect((await sender.send(job(1))).type).toBe('confirmed');
      const received = collect(receiver);
      await eventually(() => received.length >= 1, within(harness));
    },
  },
  {
    name: 'keeps one copy of a job that is sent again while it waits or is held',
    needs: 'one copy',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      for (let repeat = 0; repeat < 3; repeat += 1) expect((await sender.send(job(1))).type).toBe('confirmed');
      const received = collect(receiver);
      await eventually(() => received.length === 1, within(harness));
      expect((await sender.send(job(1))).type).toBe('confirmed');
      await sender.send({ ...job(1), issue: 2 });
      await eventually(() => received.length === 2, within(harness));
      expect(received.map(({ job: { issue } }) => issue)).toEqual([1, 2]);
    },
  },
  {
    name: 'says not-sent after it was closed, also when closed twice',
    async run(harness) {
      const queue = await harness.open();
      await queue.close();
      await queue.close();
      expect((await queue.sender.send(job(1))).type).toBe('not-sent');
    },
  },
];

const settling: readonly Check[] = [
  {
    name: 'delivers a job again, and says so, when the process died with it unacknowledged',
    needs: 'crash',
    async run(harness) {
      const { receiver } = await harness.reopenAfterCrash(async (queue) => {
        const held: string[] = [];
        await queue.consume('default', 10, (delivery) => held.push(delivery.job.taskId));
        await queue.send(job(1));
        await eventually(() => held.length === 1, within(harness));
      });
      const received = collect(receiver);
      await eventually(() => received.length === 1, within(harness));
      expect(received[0]).toMatchObject({ job: job(1), redelivered: true, returns: 1 });
    },
  },
  {
    name: 'never delivers an acknowledged job again, not after a crash either',
    needs: 'crash',
    async run(harness) {
      const { receiver } = await harness.reopenAfterCrash(async (queue) => {
        let acknowledged = false;
        await queue.send(job(1));
        await queue.send(job(2));
        await queue.consume('default', 10, (delivery) => {
          if (delivery.job.taskId === job(1).taskId) delivery.ack().then(() => (acknowledged = true), () => undefined);
        });
        await eventually(() => acknowledged, within(harness));
      });
      const received = collect(receiver);
      await eventually(() => received.length === 1, within(harness));
      expect(received.map(taskOf)).toEqual([job(2).taskId]);
    },
  },
  {
    name: 'delivers a job again that was given back',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const received = collect(receiver);
      await sender.send(job(1));
      await eventually(() => received.length === 1, within(harness));
      received[0]?.giveBack();
      received[0]?.giveBack();
      await eventually(() => received.length === 2, within(harness));
      expect(received[1]).toMatchObject({ job: job(1), redelivered: true });
      await received[1]?.ack();
    },
  },
  {
    name: 'refuses to acknowledge twice',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const received = collect(receiver);
      await sender.send(job(1));
      await eventually(() => received.length === 1, within(harness));
      await received[0]?.ack();
      await expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'stale-delivery'));
    },
  },
  {
    name: 'refuses to acknowledge what was given back, and keeps the job',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const received: JobDelivery[] = [];
      const consumer = receiver.consume('default', 1, (delivery) => received.push(delivery));
      await sender.send(job(1));
      await eventually(() => received.length === 1, within(harness));
      consumer.pause();
      received[0]?.giveBack();
      await expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'stale-delivery'));
      await consumer.stop();
      const again = collect(receiver);
      await eventually(() => again.length === 1, within(harness));
    },
  },
  {
    name: 'gives back what a stopped consumer held, and refuses its late acknowledgements',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const held: JobDelivery[] = [];
      const consumer = receiver.consume('default', 10, (delivery) => held.push(delivery));
      for (const index of upTo(3)) await sender.send(job(index));
      await eventually(() => held.length === 3, within(harness));
      await held[0]?.ack();
      await consumer.stop();
      await consumer.stop();
      const received = collect(receiver);
      await eventually(() => received.length === 2, within(harness));
      expect(received.map(taskOf).toSorted()).toEqual(held.slice(1).map(taskOf).toSorted());
      for (const each of held.slice(1)) {
        await expect(each.ack()).rejects.toSatisfy((error) => hasCode(error, 'stale-delivery'));
      }
    },
  },
  {
    name: 'delivers a job again whose acknowledgement failed',
    needs: 'outage',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const received = collect(receiver);
      await sender.send(job(1));
      await eventually(() => received.length === 1, within(harness));
      const mend = await harness.breakQueue();
      await expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable') || hasCode(error, 'stale-delivery'));
      await mend();
      await eventually(() => received.length === 2, within(harness));
      await received[1]?.ack();
    },
  },
  {
    name: 'parks a message that is no job, counts it, and delivers the others',
    needs: 'parking',
    async run(harness) {
      const first = await harness.open();
      await first.sender.send(job(1));
      await first.close();
      await harness.plantMalformedJob('default');
      const { sender, receiver } = await harness.open();
      await sender.send(job(2));
      const received = collect(receiver);
      await eventually(() => received.length === 2 && harness.parkedJobs() === 1, within(harness));
      expect(received.map(taskOf).toSorted()).toEqual([job(1).taskId, job(2).taskId]);
    },
  },
];

const sharing: readonly Check[] = [
  {
    name: 'never lets a consumer hold more than its prefetch, and goes on as it settles',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      await Promise.all(upTo(30).map((index) => sender.send(job(index))));
      const held: JobDelivery[] = [];
      let most = 0;
      receiver.consume('default', 4, (delivery) => {
        held.push(delivery);
        most = Math.max(most, held.length);
      });
      for (let left = 30; left > 0; left -= 1) {
        await eventually(() => held.length === Math.min(4, left), within(harness));
        await held.shift()?.ack();
      }
      expect(most).toBe(4);
    },
  },
  {
    name: 'shares a queue among its consumers, each job to one of them',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const consumers = [collect(receiver, 'default', 20), collect(receiver, 'default', 20), collect(receiver, 'default', 20)];
      await Promise.all(upTo(30).map((index) => sender.send(job(index))));
      await eventually(() => consumers.flat().length === 30, within(harness));
      expect(new Set(consumers.flat().map(taskOf)).size).toBe(30);
      for (const received of consumers) expect(received.length).toBeGreaterThan(0);
    },
  },
  {
    name: 'delivers nothing to a paused consumer, which keeps what it holds',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      const [paused, other]: JobDelivery[][] = [[], []];
      const consumer = receiver.consume('default', 10, (delivery) => paused?.push(delivery));
      await sender.send(job(1));
      await eventually(() => paused?.length === 1, within(harness));
      consumer.pause();
      receiver.consume('default', 10, (delivery) => other?.push(delivery));
      await Promise.all(upTo(10).map((index) => sender.send(job(10 + index))));
      await eventually(() => other?.length === 10, within(harness));
      expect(paused).toHaveLength(1);
      await paused?.[0]?.ack();
      consumer.resume();
      await Promise.all(upTo(10).map((index) => sender.send(job(20 + index))));
      await eventually(() => (paused?.length ?? 0) > 1, within(harness));
    },
  },
  {
    name: 'delivers every job of a deep backlog',
    async run(harness) {
      const { sender, receiver } = await harness.open();
      await Promise.all(upTo(3_000).map((index) => sender.send(job(index))));
      const seen = new Set<string>();
      receiver.consume('default', 50, (delivery) => {
        delivery.ack().then(() => seen.add(delivery.job.taskId), () => undefined);
      });
      await Promise.all(upTo(500).map((index) => sender.send(job(3_000 + index))));
      await eventually(() => seen.size === 3_500, { timeoutMs: 20_000 });
    },
  },
];

export const jobQueueChecks: readonly Check[] = [...sending, ...settling, ...sharing];

function job(index: number): Job {
  const taskId = `task-${String(index).padStart(5, '0')}`;
  return { taskId, attempt: 1, issue: 1, queue: 'default', type: 'test.nothing', typeVersion: 1, payload: { index }, timeoutMs: 30_000, expiresAtMs: null };
}

function within({ patienceMs }: JobQueueHarness): { readonly timeoutMs: number } {
  return { timeoutMs: patienceMs };
}

function taskOf({ job: { taskId } }: JobDelivery): string {
  return taskId;
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index);
}

/** Consumes and holds whatever comes. */
function collect(receiver: JobReceiver, queue = 'default', prefetch = 1_000): JobDelivery[] {
  const received: JobDelivery[] = [];
  receiver.consume(queue, prefetch, (delivery) => received.push(delivery));
  return received;
}

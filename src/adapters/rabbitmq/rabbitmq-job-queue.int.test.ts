import { describe, expect, it, onTestFinished } from 'vitest';
import { jobQueueContract } from '../../../test/contracts/job-queue.contract.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { depthOf, freezeBroker, onBroker, plantMessage, wearOut } from '../../../test/support/rabbitmq-broker.ts';
import { rabbitmqJobQueueHarness, RabbitmqRig } from '../../../test/support/rabbitmq-harness.ts';
import { hasCode } from '../../domain/errors.ts';
import type { Job } from '../../domain/job.ts';
import type { JobConsumer, JobDelivery, JobReceiver } from '../../ports/job-receiver.ts';
import { SystemClock } from '../system/system-clock.ts';
import { RabbitmqNames, RabbitmqTopology } from './rabbitmq-topology.ts';

// One file for all that stalls: its last test freezes the broker itself.

jobQueueContract({
  name: 'RabbitMQ',
  missing: { 'one copy': 'a broker keeps every copy; workers recognise a repeat by task and attempt' },
  create: rabbitmqJobQueueHarness,
});

describe('RabbitMQ sender', () => {
  it('says refused when the queue is gone, and declares it again before the next job', async () => {
    const { rig, names } = await startedRig();
    const { sender } = await rig.open();
    expect(sender.queueLostAtMs('default')).toBeNull();
    const deletedMs = new SystemClock().monotonicMs();
    await onBroker((channel) => channel.deleteQueue(names.laneQueue('default')));
    expect(await sender.send(job(1))).toMatchObject({ type: 'refused', detail: expect.stringContaining('NO_ROUTE') });
    // Not at once, so that consumers learn that it was gone.
    expect((await sender.send(job(1))).type).toBe('refused');
    expect(sender.health()).toMatchObject({ ok: false, detail: expect.stringContaining('is gone') });
    await eventually(async () => (await sender.send(job(1))).type === 'confirmed');
    expect(sender.health().ok).toBe(true);
    expect(sender.queueLostAtMs('default')).toBeGreaterThan(deletedMs);
    expect(sender.queueLostAtMs('heavy')).toBeNull();
  });

  it('declares everything again when the exchanges are gone', async () => {
    const { rig, names } = await startedRig();
    const { sender } = await rig.open();
    await onBroker((channel) => channel.deleteExchange(names.jobsExchange));
    // The broker closes the channel over it, so this one is unknown.
    expect((await sender.send(job(1))).type).toBe('unknown');
    expect(await sender.send(job(1))).toEqual({ type: 'confirmed' });
  });

  it('says unknown for what is on its way when the connection breaks, at once, and publishes again by itself', async () => {
    const { rig } = await startedRig();
    const { sender } = await rig.open({ confirmDeadlineMs: 60_000 });
    rig.proxy.stall();
    const sent = [1, 2, 3].map((index) => sender.send(job(index)));
    await idle();
    rig.proxy.cut();
    rig.proxy.mend();
    expect((await Promise.all(sent)).map(({ type }) => type)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(await sender.send(job(1))).toEqual({ type: 'confirmed' });
  });

  it('says not-sent without a connection, after its write deadline', async () => {
    const { rig } = await startedRig();
    const { sender } = await rig.open({ writeDeadlineMs: 200 });
    rig.proxy.refuse();
    await eventually(() => !sender.health().ok);
    const startedMs = performance.now();
    expect(await sender.send(job(1))).toMatchObject({ type: 'not-sent', detail: expect.stringContaining('Nothing can be sent') });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  it('sends nothing while the broker is in an alarm, says so, and goes on after it', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open({ writeDeadlineMs: 200, confirmDeadlineMs: 300 });
    rig.proxy.block();
    await eventually(() => !sender.health().ok);
    expect(sender.health().detail).toContain('low on memory');
    expect(await sender.send(job(1))).toMatchObject({ type: 'not-sent', detail: expect.stringContaining('low on memory') });
    rig.proxy.unblock();
    await eventually(() => sender.health().ok);
    expect(await sender.send(job(2))).toEqual({ type: 'confirmed' });
    const received = collect(receiver);
    await eventually(() => received.length === 1);
    expect(received[0]?.job.taskId).toBe(job(2).taskId);
  });

  it('holds no more jobs than it was told to', async () => {
    const { rig } = await startedRig();
    const { sender } = await rig.open({ maxOutstanding: 5, maxWaiting: 5, confirmDeadlineMs: 500, writeDeadlineMs: 200 });
    rig.proxy.stall();
    const outcomes = await Promise.all(Array.from({ length: 15 }, (_, index) => sender.send(job(index))));
    const count = (type: string) => outcomes.filter((outcome) => outcome.type === type).length;
    expect({ unknown: count('unknown'), notSent: count('not-sent') }).toEqual({ unknown: 5, notSent: 10 });
  });

  it('refuses a job that is too large for the broker, and goes on', async () => {
    const { rig } = await startedRig();
    const { sender } = await rig.open({ maxJobBytes: 1_000 });
    expect((await sender.send({ ...job(1), payload: 'x'.repeat(1_000) })).type).toBe('refused');
    expect((await sender.send(job(1))).type).toBe('confirmed');
  });
});

describe('RabbitMQ receiver', () => {
  it('consumes again by itself when the queue was deleted while jobs are sent; what was held then is stale', async () => {
    const { rig, names } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    const connections = rig.proxy.accepted;
    await onBroker((channel) => channel.deleteQueue(names.laneQueue('default')));
    await eventually(async () => (await sender.send(job(2))).type === 'confirmed');
    await eventually(() => received.length === 2);
    await expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'stale-delivery'));
    await received[1]?.ack();
    expect(rig.proxy.accepted).toBe(connections);
  });

  it('is not left deaf by a queue that was deleted and came back at once', async () => {
    const { rig, names } = await startedRig();
    const { sender, receiver } = await rig.open({ idleMs: 500 });
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    await received[0]?.ack();
    const { laneOptions } = new RabbitmqTopology({ topic: rig.topic, clock: new SystemClock() });
    await onBroker(async (channel) => {
      await channel.deleteQueue(names.laneQueue('default'));
      await channel.assertQueue(names.laneQueue('default'), laneOptions);
      await channel.bindQueue(names.laneQueue('default'), names.jobsExchange, 'default');
    });
    await eventually(async () => (await sender.send(job(2))).type === 'confirmed');
    await eventually(() => received.some((each) => each.job.taskId === job(2).taskId));
  });

  it('keeps its connection, and its other lanes, while a queue is not there', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    const connections = rig.proxy.accepted;
    const first = receiver.consume('not-there', 1, () => undefined);
    const refusals = () => rig.messages.filter((message) => message.includes('404 (NOT-FOUND)')).length;
    await eventually(() => refusals() === 1);
    await first.stop();
    // Once more, so that whatever the first try did to the connection has come about.
    receiver.consume('not-there', 1, () => undefined);
    await eventually(() => refusals() === 2);
    await received[0]?.ack();
    expect(rig.proxy.accepted).toBe(connections);
  });

  it('never settles a delivery of a former connection on the present one', async () => {
    const { rig, names } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    rig.proxy.cut();
    await eventually(() => received.length === 2);
    const [old, again] = received;
    expect(again).toMatchObject({ job: job(1), redelivered: true });
    // Both have delivery tag 1, each of its own channel.
    await expect(old?.ack()).rejects.toSatisfy((error) => hasCode(error, 'stale-delivery'));
    old?.giveBack();
    await receiver.close();
    expect(await depthOf(names.laneQueue('default'))).toBe(1);
  });

  it('tells how often a job came back with a lost connection', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await sender.send(job(1));
    for (let losses = 0; losses < 3; losses += 1) {
      await eventually(() => received.length === losses + 1);
      rig.proxy.cut();
    }
    await eventually(() => received.length === 4);
    expect(received.map(({ returns }) => returns)).toEqual([0, 1, 2, 3]);
  });

  it('acknowledges others singly while one is held, and never the held one', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver, 8);
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((index) => sender.send(job(index))));
    await eventually(() => received.length === 8);
    const [slow, ...others] = received;
    await Promise.all(others.map((each) => each.ack()));
    rig.proxy.cut();
    await eventually(() => received.length === 9);
    expect(received[8]).toMatchObject({ job: slow?.job, redelivered: true });
    await received[8]?.ack();
  });

  it('acknowledges one that waits behind a held one soon, also when it is the only one', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver, 100);
    await sender.send(job(1));
    await sender.send(job(2));
    await eventually(() => received.length === 2);
    await received[1]?.ack();
    received[0]?.giveBack();
    await eventually(() => received.length === 3);
    expect(received[2]?.job).toEqual(received[0]?.job);
  });

  it('acknowledges all that are finished, in whatever order they finished', async () => {
    const { rig, names } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await Promise.all(Array.from({ length: 200 }, (_, index) => sender.send(job(index))));
    await eventually(() => received.length === 200);
    await Promise.all(received.toReversed().map((each) => each.ack()));
    rig.proxy.cut();
    await eventually(() => receiver.awaitedQueues.length === 0);
    await receiver.close();
    expect(await depthOf(names.laneQueue('default'))).toBe(0);
  });

  it('does not spin when every delivery is given back at once', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    let deliveries = 0;
    await sender.send(job(1));
    const startedMs = performance.now();
    receiver.consume('default', 10, (delivery) => {
      deliveries += 1;
      delivery.giveBack();
    });
    await eventually(() => deliveries >= 7);
    expect(performance.now() - startedMs).toBeGreaterThan(450);
  });

  it('delivers a job that its queue gave up on as a dead letter, until it is acknowledged', async () => {
    const { rig, names } = await startedRig();
    const { sender, receiver } = await rig.open();
    expect(await sender.send(job(1))).toEqual({ type: 'confirmed' });
    await wearOut(rig.topic, 'default');
    const deliveries: JobDelivery[] = [];
    const consumer = receiver.consumeDeadLetters(1, (delivery) => void deliveries.push(delivery));
    await eventually(() => deliveries.length === 1);
    expect(deliveries[0]).toMatchObject({ deadLetter: true, job: job(1) });
    deliveries[0]?.giveBack();
    await eventually(() => deliveries.length === 2);
    await deliveries[1]?.ack();
    await consumer.stop();
    expect(await depthOf(names.shelfQueue('dead'))).toBe(0);
    expect(await depthOf(names.laneQueue('default'))).toBe(0);
  });

  it('keeps a message that is no job where people find it', async () => {
    const { rig, names } = await startedRig();
    const { receiver } = await rig.open();
    await plantMessage(rig.topic, 'heavy', 'this is no job');
    receiver.consume('heavy', 1, () => undefined);
    await eventually(() => receiver.parked === 1);
    const parked = await onBroker((channel) => channel.get(names.shelfQueue('parked'), { noAck: true }));
    expect(parked && parked.content.toString()).toBe('this is no job');
    expect(parked && parked.properties.headers).toMatchObject({ 'x-daybook-queue': 'heavy' });
    await receiver.close();
    expect(await depthOf(names.laneQueue('heavy'))).toBe(0);
  });

  it('names the queue of dead letters on what it parks from there', async () => {
    const { rig, names } = await startedRig();
    const { receiver } = await rig.open();
    await onBroker(async (channel) => {
      channel.publish(names.shelfExchange, 'dead', Buffer.from('this is no job'), { persistent: true, mandatory: true });
      await channel.waitForConfirms();
    });
    receiver.consumeDeadLetters(1, () => undefined);
    await eventually(() => receiver.parked === 1);
    const parked = await onBroker((channel) => channel.get(names.shelfQueue('parked'), { noAck: true }));
    expect(parked && parked.properties.headers).toMatchObject({ 'x-daybook-queue': names.shelfQueue('dead') });
  });

  it('holds a message that is no job until it can be parked', async () => {
    const { rig, names } = await startedRig();
    const { receiver } = await rig.open();
    await onBroker((channel) => channel.unbindQueue(names.shelfQueue('parked'), names.shelfExchange, 'parked'));
    await plantMessage(rig.topic, 'default', '{"taskId":17}');
    receiver.consume('default', 1, () => undefined);
    await eventually(async () => (await depthOf(names.laneQueue('default'))) === 0);
    expect(receiver.parked).toBe(0);
    await onBroker((channel) => channel.bindQueue(names.shelfQueue('parked'), names.shelfExchange, 'parked'));
    await eventually(() => receiver.parked === 1);
    expect(await depthOf(names.shelfQueue('parked'))).toBe(1);
  });

  it('delivers nothing more once it is paused, not what is on its way either', async () => {
    const { rig, names } = await startedRig();
    const { sender, receiver } = await rig.open();
    await Promise.all(Array.from({ length: 20 }, (_, index) => sender.send(job(index))));
    let deliveries = 0;
    const consumer: JobConsumer = receiver.consume('default', 20, () => {
      deliveries += 1;
      consumer.pause();
    });
    await eventually(async () => deliveries > 0 && (await depthOf(names.laneQueue('default'))) === 19);
    expect(deliveries).toBe(1);
  });

  it('survives pausing and resuming faster than the broker answers', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received: JobDelivery[] = [];
    const consumer: JobConsumer = receiver.consume('default', 5, (delivery) => {
      received.push(delivery);
      void delivery.ack();
    });
    for (let turn = 0; turn < 25; turn += 1) {
      consumer.pause();
      await sender.send(job(turn));
      consumer.resume();
    }
    await eventually(() => new Set(received.map((each) => each.job.taskId)).size === 25);
  });
});

describe('RabbitMQ that does not answer', () => {
  it('is closed in bounded time, with jobs held and on their way', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    rig.proxy.stall();
    const refused = expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
    const outcome = sender.send(job(2));
    const startedMs = performance.now();
    await Promise.all([receiver.close(), sender.close()]);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect((await outcome).type).toBe('unknown');
    await refused;
  });

  it('is left for a new connection, though the silent one stays open', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open();
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    const connections = rig.proxy.accepted;
    rig.proxy.abandon();
    // Noticed by what is not answered; heartbeats would take 20 s.
    const refused = expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
    expect((await sender.send(job(2))).type).toBe('unknown');
    await refused;
    await eventually(async () => (await sender.send(job(3))).type === 'confirmed');
    await eventually(() => rig.proxy.accepted === connections + 2 && receiver.awaitedQueues.length === 0);
  });

  it('frozen as a process: publishes are unknown within their deadline, and both sides go on by themselves after it', async () => {
    const { rig } = await startedRig();
    const { sender, receiver } = await rig.open({ heartbeatSeconds: 1 });
    const received = collect(receiver);
    await sender.send(job(1));
    await eventually(() => received.length === 1);
    // A broker that runs elsewhere cannot be stopped from here; the network before it can.
    const wake = freezeBroker() ?? (rig.proxy.stall(), () => rig.proxy.mend());
    try {
      const startedMs = performance.now();
      const outcomes = await Promise.all([2, 3, 4].map((index) => sender.send(job(index))));
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      expect(outcomes.map(({ type }) => type)).toEqual(['unknown', 'unknown', 'unknown']);
      await eventually(() => !receiver.health().ok);
    } finally {
      wake();
    }
    await eventually(async () => (await sender.send(job(5))).type === 'confirmed', { timeoutMs: 10_000 });
    // The first was held when the broker froze, and comes again.
    const again = () => received.slice(1).map(({ job: { taskId } }) => taskId);
    await eventually(() => again().includes(job(1).taskId) && again().includes(job(5).taskId), { timeoutMs: 10_000 });
    await expect(received[0]?.ack()).rejects.toSatisfy((error) => hasCode(error, 'stale-delivery'));
  });
});

async function startedRig(): Promise<{ rig: RabbitmqRig; names: RabbitmqNames }> {
  const rig = await RabbitmqRig.start();
  onTestFinished(() => rig.close());
  return { rig, names: new RabbitmqNames(rig.topic) };
}

function job(index: number): Job {
  return { taskId: `task-${index}`, attempt: 1, issue: 1, queue: 'default', type: 'test.nothing', typeVersion: 1, payload: { index }, timeoutMs: 30_000, expiresAtMs: null };
}

function collect(receiver: JobReceiver, prefetch = 1_000): JobDelivery[] {
  const received: JobDelivery[] = [];
  receiver.consume('default', prefetch, (delivery) => received.push(delivery));
  return received;
}

/** Lets what was written leave this process. */
function idle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../../../tools/brokers/certificate.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { onBroker, rabbitmqUrl, removeTopic, uniqueTopic } from '../../../test/support/rabbitmq-broker.ts';
import { RabbitmqProxy } from '../../../test/support/rabbitmq-proxy.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { silent } from '../../../test/support/silent-logger.ts';
import type { Job } from '../../domain/job.ts';
import { SystemClock } from '../system/system-clock.ts';
import { RabbitmqJobReceiver } from './rabbitmq-job-receiver.ts';
import { RabbitmqJobSender, type RabbitmqJobSenderOptions } from './rabbitmq-job-sender.ts';
import { RabbitmqNames } from './rabbitmq-topology.ts';

const job: Job = { taskId: 't1', attempt: 1, issue: 1, queue: 'default', type: 'test.nothing', typeVersion: 1, payload: null, timeoutMs: 1, expiresAtMs: null };

describe('RabbitMQ topology', () => {
  it('names everything after the topic, and no two lanes alike', () => {
    const names = new RabbitmqNames('task-lifecycle');
    expect(names.laneQueue('default')).toBe('daybook.task-lifecycle.default.v1');
    expect(names.shelfQueue('parked')).toBe('daybook.task-lifecycle.parked.v2');
    expect(names.laneQueue('parked')).not.toBe(names.shelfQueue('parked'));
    expect(new RabbitmqNames('a.b').laneQueue('c')).not.toBe(new RabbitmqNames('a').laneQueue('b.c'));
  });

  it('refuses jobs of a queue that was declared otherwise, and says what differs and what helps', async () => {
    const topic = topicOfTest();
    const queue = new RabbitmqNames(topic).laneQueue('default');
    const shelf = { 'x-dead-letter-exchange': new RabbitmqNames(topic).shelfExchange, 'x-dead-letter-routing-key': 'dead', 'x-dead-letter-strategy': 'at-least-once' };
    const other = { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', ...shelf, 'x-delivery-limit': 7 };
    await onBroker((channel) => channel.assertQueue(queue, { durable: true, arguments: other }));
    const sender = openSender(topic);
    const outcome = await sender.send(job);
    expect(outcome).toMatchObject({ type: 'refused', detail: expect.stringMatching(new RegExp(`${queue} was declared by someone else with another x-delivery-limit \\(it has 7, Daybook needs 100\\).*Fix: .*rabbitmqctl delete_queue ${queue}`)) });
    expect(sender.health()).toMatchObject({ ok: false, detail: expect.stringContaining('x-delivery-limit') });
    // Another lane works all the same, and this one as soon as the other queue is out of the way.
    expect((await sender.send({ ...job, queue: 'heavy' })).type).toBe('confirmed');
    await onBroker((channel) => channel.deleteQueue(queue));
    await eventually(async () => (await sender.send(job)).type === 'confirmed');
    expect(sender.health().ok).toBe(true);
  });

  it('refuses a classic queue of that name', async () => {
    const topic = topicOfTest();
    await onBroker((channel) => channel.assertQueue(new RabbitmqNames(topic).laneQueue('default'), { durable: true }));
    expect(await openSender(topic).send(job)).toMatchObject({ type: 'refused', detail: expect.stringMatching(/declared by someone else with another x-/) });
  });

  it('refuses a queue whose name AMQP cannot hold', async () => {
    const topic = topicOfTest();
    expect(await openSender(topic).send({ ...job, queue: 'q'.repeat(250) })).toMatchObject({ type: 'refused', detail: expect.stringContaining('at most 255 bytes') });
  });

  it('leaves it to the sender to declare: a receiver waits', async () => {
    const topic = topicOfTest();
    const receiver = openReceiver(topic);
    const received: Job[] = [];
    receiver.consume('default', 1, (delivery) => {
      received.push(delivery.job);
      void delivery.ack();
    });
    await eventually(() => receiver.health().detail.includes('waits for the queues default'));
    await expect(onBroker((channel) => channel.checkQueue(new RabbitmqNames(topic).laneQueue('default')))).rejects.toMatchObject({ code: 404 });
    expect((await openSender(topic).send(job)).type).toBe('confirmed');
    await eventually(() => received.length === 1);
    expect(receiver.health()).toMatchObject({ ok: true, detail: expect.stringMatching(/: connected$/) });
  });
});

describe('a link to RabbitMQ', () => {
  it('says why it cannot log in, without the password', async () => {
    const url = new URL(rabbitmqUrl());
    url.password = 'not-the-password';
    const sender = openSender(uniqueTopic(), { url: url.href, writeDeadlineMs: 1_500 });
    await eventually(() => sender.health().detail.includes('ACCESS_REFUSED') || sender.health().detail.includes('ACCESS-REFUSED'));
    const outcome = await sender.send(job);
    expect(outcome.type).toBe('not-sent');
    expect(JSON.stringify([outcome, sender.health()])).not.toContain('not-the-password');
  });

  it('speaks TLS, and trusts only whom it is told to trust', async () => {
    const topic = topicOfTest();
    const { key, cert } = makeCertificate(temporaryFolder(), 'IP:127.0.0.1', 'DNS:localhost');
    const proxy = await RabbitmqProxy.start(rabbitmqUrl(), { key, cert });
    onTestFinished(() => proxy.close());
    const distrustful = openSender(topic, { url: proxy.tlsUrl, writeDeadlineMs: 200 });
    await eventually(() => /self-signed|certificate/.test(distrustful.health().detail));
    expect((await distrustful.send(job)).type).toBe('not-sent');
    const trusting = openSender(topic, { url: proxy.tlsUrl, ca: cert });
    expect((await trusting.send(job)).type).toBe('confirmed');
    // Also here, giving a connection up reaches the socket.
    proxy.stall();
    expect((await trusting.send(job)).type).toBe('unknown');
    proxy.mend();
    await eventually(async () => (await trusting.send(job)).type === 'confirmed');
  });
});

function topicOfTest(): string {
  const topic = uniqueTopic();
  onTestFinished(() => removeTopic(topic, ['default', 'heavy']));
  return topic;
}

function openSender(topic: string, options: Partial<RabbitmqJobSenderOptions> = {}): RabbitmqJobSender {
  const sender = new RabbitmqJobSender({ url: rabbitmqUrl(), topic, name: 'test', clock: new SystemClock(), logger: silent, confirmDeadlineMs: 1_500, longestPauseMs: 500, declarePauseMs: 50, writeDeadlineMs: 5_000, ...options });
  onTestFinished(() => sender.close());
  return sender;
}

function openReceiver(topic: string): RabbitmqJobReceiver {
  const receiver = new RabbitmqJobReceiver({ url: rabbitmqUrl(), topic, name: 'test', clock: new SystemClock(), logger: silent });
  onTestFinished(() => receiver.close());
  return receiver;
}

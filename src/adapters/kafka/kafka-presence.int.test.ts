import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Admin, ConfigResourceTypes } from '@platformatic/kafka';
import { brokenChecks } from '../../../test/contracts/contract.ts';
import { presenceChecks, presenceContract } from '../../../test/contracts/presence.contract.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { kafkaPresenceHarness, KafkaTestTopic, testPresenceMs } from '../../../test/support/kafka-harness.ts';
import { StalledNetwork } from '../../../test/support/kafka-stalled-network.ts';
import { CollectingLogger } from '../../../test/support/worker-rig.ts';
import { hasCode } from '../../domain/errors.ts';
import type { Heartbeat } from '../../domain/heartbeat.ts';
import { SystemClock } from '../system/system-clock.ts';
import { encodeHeartbeat } from './heartbeat-json.ts';
import { clientOptions } from './kafka-connection.ts';
import { KafkaEventAppender } from './kafka-event-appender.ts';
import { KafkaPresenceReader } from './kafka-presence-reader.ts';
import { KafkaPresenceWriter } from './kafka-presence-writer.ts';
import { createPresenceTopic, maxHeartbeatBytes, presenceTopicOf } from './presence-topic.ts';

presenceContract({ name: 'Kafka', create: kafkaPresenceHarness });

const patience = { timeoutMs: 20_000 };
const base = 'daybook-test-presence';
let place: KafkaTestTopic;
let topic: string;
let closing: (() => Promise<unknown>)[];

beforeEach(() => {
  topic = `${base}-${crypto.randomUUID()}`;
  place = new KafkaTestTopic(presenceTopicOf(topic));
  closing = [];
});

afterEach(async () => {
  for (const close of closing.toReversed()) await close();
  await place.remove();
});

describe('the presence topic', () => {
  it('is created by whoever comes first, with one partition, and kept for an hour', async () => {
    await Promise.all([openWriter().write(beat(1)), openWriter().write(beat(1)), createPresenceTopic({ connection: place.connection, topic })]);
    const admin = new Admin({ ...clientOptions(place.connection), retries: 3 });
    closing.push(() => admin.close());
    const described = await admin.describeConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: place.topic, configurationKeys: ['retention.ms', 'segment.ms', 'cleanup.policy', 'min.insync.replicas'] }],
    });
    expect(Object.fromEntries(described[0]?.configs.map(({ name, value }) => [name, value]) ?? [])).toEqual({
      'retention.ms': '3600000', 'segment.ms': '600000', 'cleanup.policy': 'delete', 'min.insync.replicas': '1',
    });
    expect((await place.metadata())?.partitions).toHaveLength(1);
  });

  it('is left as it is where it exists', async () => {
    await createPresenceTopic({ connection: place.connection, topic });
    await place.configure('retention.ms', '60000');
    await createPresenceTopic({ connection: place.connection, topic });
    await openWriter().write(beat(1));
  });
});

describe('the writer', () => {
  it('keeps one heartbeat waiting at most, the newest, while Kafka is silent', async () => {
    const network = new StalledNetwork();
    closing.push(async () => network.close());
    const { told } = await listening();
    const writer = openWriter();
    await writer.write(beat(1));
    network.stall();
    const answers = [2, 3, 4, 5].map((number) => writer.write(beat(number)).then(() => 'taken', (error: unknown) => String(error)));
    // Those between the first, which is on its way, and the last give way at once.
    expect(await answers[1]).toContain('A newer heartbeat took the place');
    expect(await answers[2]).toContain('A newer heartbeat took the place');
    network.resume();
    expect(await answers[3]).toBe('taken');
    await eventually(() => told.at(-1)?.timeMs === beat(5).timeMs, patience);
    expect(told.map(({ timeMs }) => timeMs)).not.toContain(beat(3).timeMs);
  });

  it('refuses a heartbeat that is too long, says what to do, and takes one of almost that length', async () => {
    const writer = openWriter();
    const { told } = await listening();
    const held = Array.from({ length: 120_000 }, () => ({ taskId: crypto.randomUUID(), attempt: 1 }));
    const longest = Math.floor(maxHeartbeatBytes / JSON.stringify(held[0]).length) - 4_000;
    await expect(writer.write({ ...beat(1), held: [...held, ...held] })).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable') && error.message.includes('DAYBOOK_WORKER_PREFETCH'));
    await writer.write({ ...beat(2), held: held.slice(0, longest) });
    await eventually(() => told.length === 1, patience);
    expect(told[0]?.held).toHaveLength(Math.min(longest, held.length));
  });

  it('creates the topic again when it was deleted', async () => {
    const writer = openWriter();
    await writer.write(beat(1));
    await place.delete();
    await eventually(() => writer.write(beat(2)).then(() => true), patience);
    expect((await place.metadata())?.partitions).toHaveLength(1);
  });

  it('fails at its deadline while Kafka is silent, at once where nobody listens, and in time when it is closed meanwhile', async () => {
    const network = new StalledNetwork();
    closing.push(async () => network.close());
    const silent = new KafkaPresenceWriter({ connection: place.connection, topic, deadlineMs: 200 });
    closing.push(() => silent.close());
    network.stall();
    await expectRefusalWithin(800, silent.write(beat(1)));
    network.resume();

    const writer = new KafkaPresenceWriter({ connection: { brokers: ['127.0.0.1:1'] }, topic });
    closing.push(() => writer.close());
    await expectRefusalWithin(1_500, writer.write(beat(1)));
    const pending = [writer.write(beat(2)), writer.write(beat(3))].map((each) => each.catch((error: unknown) => String(error)));
    await writer.close();
    await Promise.all(pending);
    await expectRefusalWithin(100, writer.write(beat(4)));
  });
});

describe('the reader', () => {
  it('does not tell a heartbeat that arrives behind a newer one of the same worker, as a silent broker may store it', async () => {
    const { told } = await listening();
    const appender = new KafkaEventAppender({ connection: place.connection, topic: place.topic });
    closing.push(() => appender.close());
    const append = (sequence: number, heartbeat: Heartbeat) => appender.append({ key: 'worker-1', headers: [], value: encodeHeartbeat({ heartbeat, sequence }) });
    await append(7, beat(7));
    await append(6, beat(6));
    await append(7, beat(7));
    // Another life under the same name counts anew.
    await append(1, { ...beat(8), startedAtMs: beat(8).timeMs });
    await eventually(() => told.length === 2, patience);
    expect(told.map(({ timeMs }) => timeMs)).toEqual([beat(7).timeMs, beat(8).timeMs]);
  });

  it('is not current before it has listened for a whole presence time, nor once the place was another', async () => {
    const startedMs = performance.now();
    const { reader } = await listening();
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(testPresenceMs);
    await place.delete();
    await createPresenceTopic({ connection: place.connection, topic });
    const anewMs = performance.now();
    await eventually(() => !reader.isCurrent(), patience);
    await eventually(() => reader.isCurrent(), patience);
    expect(performance.now() - anewMs).toBeGreaterThanOrEqual(testPresenceMs);
  });

  it('creates the topic again when it was deleted, without any worker, and is current again', async () => {
    const { reader } = await listening();
    await place.delete();
    await eventually(() => !reader.isCurrent(), patience);
    await eventually(() => reader.isCurrent(), patience);
    expect((await place.metadata())?.partitions).toHaveLength(1);
  });

  it('says once an outage that it hears nothing, and is never a reason not to be ready', async () => {
    const network = new StalledNetwork();
    closing.push(async () => network.close());
    const { reader, logger } = await listening();
    expect(reader.health()).toEqual({ ok: true, detail: `${place.topic}: hears the workers` });
    network.stall();
    await eventually(() => reader.health().detail.includes('does not hear the workers'), patience);
    expect(reader.health().ok).toBe(true);
    network.resume();
    await eventually(() => reader.isCurrent(), patience);
    expect(logger.lines.filter(({ message }) => message.includes('heartbeats of workers')).map(({ level }) => level)).toEqual(['warn', 'info']);
  });

  it('warns of records that are no heartbeats', async () => {
    const { logger, told } = await listening();
    const appender = new KafkaEventAppender({ connection: place.connection, topic: place.topic });
    closing.push(() => appender.close());
    const broken = ['', 'no JSON', '[]', '{"workerId":1}', JSON.stringify({ ...JSON.parse(encodeHeartbeat({ heartbeat: beat(1), sequence: 1 }).toString()), held: [{ taskId: 'a' }] })];
    for (const text of broken) await appender.append({ key: 'worker-1', headers: [], value: Buffer.from(text) });
    await openWriter().write(beat(1));
    await eventually(() => told.length === 1, patience);
    const warned = logger.lines.filter(({ message }) => message.includes('no heartbeats')).reduce((sum, { fields }) => sum + Number(fields['records']), 0);
    expect(warned).toBe(broken.length);
  });

  it('stops in time while Kafka is silent, and where it never answered', async () => {
    const nowhere = new KafkaPresenceReader({ connection: { brokers: ['127.0.0.1:1'] }, topic, presenceMs: testPresenceMs, clock: new SystemClock(), logger: new CollectingLogger() });
    nowhere.start(() => {});
    const { reader } = await listening();
    const network = new StalledNetwork();
    closing.push(async () => network.close());
    network.stall();
    const startedMs = performance.now();
    await Promise.all([reader.stop(), nowhere.stop()]);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });
});

describe('a presence on Kafka that', () => {
  it('calls itself current once it was is found out', async () => {
    const create = async () => {
      const harness = await kafkaPresenceHarness();
      return {
        ...harness,
        patienceMs: 8_000,
        openReader() {
          const reader = harness.openReader();
          let wasCurrent = false;
          return { start: reader.start.bind(reader), stop: () => reader.stop(), isCurrent: () => (wasCurrent ||= reader.isCurrent()) };
        },
      };
    };
    const name = 'is not current while heartbeats cannot be published, refuses them in time, and goes on by itself, in order';
    expect(await brokenChecks(presenceChecks.filter((check) => check.name === name), { create })).toEqual([name]);
  });
});

function beat(number: number): Heartbeat {
  return { workerId: 'worker-1', timeMs: Date.UTC(2026, 0, 1) + 5_000 * number, stopped: false, startedAtMs: Date.UTC(2026, 0, 1), queues: ['default'], concurrency: 1, held: [] };
}

async function expectRefusalWithin(deadlineMs: number, writing: Promise<void>): Promise<void> {
  const startedMs = performance.now();
  await expect(writing).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable'));
  expect(performance.now() - startedMs).toBeLessThan(deadlineMs);
}

function openWriter(): KafkaPresenceWriter {
  const writer = new KafkaPresenceWriter({ connection: place.connection, topic });
  closing.push(() => writer.close());
  return writer;
}

/** A reader that has caught up, and what it was told. */
async function listening() {
  const logger = new CollectingLogger();
  const reader = new KafkaPresenceReader({ connection: place.connection, topic, presenceMs: testPresenceMs, clock: new SystemClock(), logger });
  closing.push(() => reader.stop());
  const told: Heartbeat[] = [];
  reader.start((heartbeat) => void told.push(heartbeat));
  await eventually(() => reader.isCurrent(), patience);
  return { reader, told, logger };
}

import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { KafkaTestTopic } from '../../../test/support/kafka-harness.ts';
import { StalledNetwork } from '../../../test/support/kafka-stalled-network.ts';
import { hasCode } from '../../domain/errors.ts';
import type { LogRecord, StoredRecord } from '../../domain/log-record.ts';
import { KafkaEventAppender, type KafkaEventAppenderOptions } from './kafka-event-appender.ts';
import { KafkaEventReader } from './kafka-event-reader.ts';

let testTopic: KafkaTestTopic;
let network: StalledNetwork;
let opened: { close(): Promise<void> }[];

beforeEach(async () => {
  network = new StalledNetwork();
  testTopic = new KafkaTestTopic();
  opened = [];
  await testTopic.create(12);
});

afterEach(async () => {
  network.close();
  await Promise.all(opened.map((each) => each.close()));
  await testTopic.remove();
});

function openAppender(options: Partial<KafkaEventAppenderOptions> = {}): KafkaEventAppender {
  const appender = new KafkaEventAppender({ connection: testTopic.connection, topic: testTopic.topic, ...options });
  opened.push(appender);
  return appender;
}

describe('appending to Kafka', () => {
  // The hashes of Kafka's own test of murmur2, without their sign, modulo 12.
  it.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ])("puts the key %s where Kafka's Java client does", async (key, hash) => {
    expect((await openAppender().append(record(key))).partition).toBe((hash & 0x7fff_ffff) % 12);
  });

  it("tells the time of the log's clock", async () => {
    const appended = await openAppender().append(record('a'));
    const [stored] = await read([appended]);
    expect(stored?.timestampMs).toBe(appended.timestampMs);
    expect(Math.abs(appended.timestampMs - Date.now())).toBeLessThan(60_000);
  });

  it('stores once, at the offset that it tells, what went out twice because the first answer was lost', async () => {
    const appender = openAppender();
    await Promise.all(['a', 'b', 'c'].map((key) => appender.append(record(key))));
    network.loseAnswers();
    const startMs = performance.now();
    const appended = await Promise.all(['a', 'b', 'c', 'a'].map((key, index) => appender.append(record(key, Buffer.from(`twice-${index}`)))));
    expect(performance.now() - startMs).toBeGreaterThan(900);
    const stored = await readAll();
    expect(stored).toHaveLength(7);
    for (const [index, { partition, offset }] of appended.entries()) {
      const found = stored.find((each) => each.partition === partition && each.offset === offset);
      expect(found && Buffer.from(found.value).toString()).toBe(`twice-${index}`);
    }
  });

  it('knows that the log cannot be written and that it can again, also when nobody writes', async () => {
    const appender = openAppender();
    await eventually(() => appender.health().ok);
    network.stall();
    await eventually(() => !appender.health().ok);
    expect(appender.health().detail).toContain('No Kafka broker answered');
    network.resume();
    await eventually(() => appender.health().ok);
    expect(appender.health().detail).toBe('takes events');
  });

  it('sends in halves what is too large together, and rejects only what is too large alone', async () => {
    const appender = openAppender();
    const rejected = (error: unknown): boolean => hasCode(error, 'log-rejected');
    await testTopic.configure('max.message.bytes', '4000');
    // A broker takes over a changed setting a moment after it confirmed it.
    await eventually(() => appender.append(record('same', randomBytes(8_000))).then(() => false, rejected));
    const fitting = Array.from({ length: 40 }, () => appender.append(record('same', randomBytes(1_000))));
    await expect(appender.append(record('same', randomBytes(8_000)))).rejects.toSatisfy(rejected);
    const offsets = (await Promise.all(fitting)).map(({ offset }) => offset);
    expect(offsets).toEqual(Array.from({ length: 40 }, (_, index) => (offsets[0] ?? 0) + index));
  });

  it('refuses at once what finds the buffer full, and fails what waits by its deadline', async () => {
    const appender = openAppender({ connection: { brokers: ['127.0.0.1:1'] }, maxWaiting: 3, deadlineMs: 300 });
    const waiting = Promise.allSettled([1, 2, 3].map(() => appender.append(record('a'))));
    await expect(appender.append(record('b'))).rejects.toThrow(/^3 records \(\d+ bytes\) wait for Kafka already/);
    for (const each of await waiting) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'log-unavailable', message: expect.stringContaining('127.0.0.1:1') } });
    }
  });

  it('waits for a topic that is created a little later', async () => {
    await testTopic.delete();
    const appended = openAppender().append(record('a'));
    await testTopic.create(12);
    expect(await appended).toMatchObject({ offset: 0 });
  });

  it('writes nothing to a topic that was created anew, and says so', async () => {
    const appender = openAppender();
    await appender.append(record('a'));
    await testTopic.recreate(12);
    const error = await eventually(() => appender.append(record('b')).then(() => null, (each: unknown) => each));
    expect(error).toMatchObject({ code: 'log-unavailable', message: expect.stringMatching(/any more: .*(created anew|a second time)/) });
    await expect(appender.append(record('a'))).rejects.toThrow('Nothing is written');
  });

  it('writes nothing to another topic than the one it was told of, names both, and says so in its health', async () => {
    const known = { topicId: '11111111-2222-3333-4444-555555555555', partitions: 12 };
    const appender = openAppender({ known });
    await expect(appender.append(record('a'))).rejects.toMatchObject({ code: 'log-unavailable', message: expect.stringMatching(/its id was 1{8}-.*, now it is [0-9a-f-]{36}/) });
    expect(appender.health()).toMatchObject({ ok: false, detail: expect.stringContaining(known.topicId) });
  });

  it('is healthy while the topic is there, and not while it is missing or no broker answers', async () => {
    const appender = openAppender();
    await eventually(() => appender.health().ok);
    await testTopic.delete();
    await eventually(() => !appender.health().ok && /does not exist any more/.test(appender.health().detail));
    const unreachable = openAppender({ connection: { brokers: ['127.0.0.1:1'] } });
    await eventually(() => unreachable.health().detail.includes('127.0.0.1:1'));
    expect(unreachable.health().ok).toBe(false);
  });

  it('notices at the first answer that a partition begins anew', async () => {
    const appender = openAppender();
    for (let index = 0; index < 3; index += 1) await appender.append(record('a'));
    await testTopic.recreate(12);
    await expect(appender.append(record('a'))).rejects.toThrow(/Nothing is written to the topic .* any more/);
  });

  it('writes nothing any more when the topic has got more partitions', async () => {
    const appender = openAppender();
    await appender.append(record('a'));
    await testTopic.addPartitions(13);
    const error = await eventually(() => appender.append(record('b')).then(() => null, (each: unknown) => each));
    expect(error).toMatchObject({ code: 'log-unavailable', message: expect.stringContaining('it had 12 partitions and now has 13') });
  });

  it('fails within 4.5 s while Kafka hangs, goes on by itself within 5 s of its return, and keeps the order of every key', async () => {
    const appender = openAppender();
    const acknowledged = new Map<string, number[]>();
    let running = true;
    let slowestFailureMs = 0;
    const write = async (key: string): Promise<void> => {
      for (let index = 0; running; index += 1) {
        const startMs = performance.now();
        try {
          await appender.append(record(key, Buffer.from(String(index))));
          acknowledged.set(key, [...(acknowledged.get(key) ?? []), index]);
        } catch (error) {
          expect(hasCode(error, 'log-unavailable'), String(error)).toBe(true);
          slowestFailureMs = Math.max(slowestFailureMs, performance.now() - startMs);
        }
      }
    };
    const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`);
    const writers = Promise.all(keys.map(write));
    const count = () => [...acknowledged.values()].reduce((sum, each) => sum + each.length, 0);
    await eventually(() => count() > 500);
    network.stall();
    await eventually(() => slowestFailureMs > 0, { timeoutMs: 4_500 });
    const before = count();
    network.resume();
    await eventually(() => count() > before + 500, { timeoutMs: 5_000 });
    running = false;
    await writers;
    expect(slowestFailureMs).toBeLessThan(4_500);

    const stored = await readAll();
    for (const key of keys) {
      const firsts = [...new Set(stored.filter((each) => each.key === key).map(({ value }) => Number(Buffer.from(value).toString())))];
      expect(firsts, key).toEqual(firsts.toSorted((a, b) => a - b));
      expect(firsts).toEqual(expect.arrayContaining(acknowledged.get(key) ?? []));
    }
  });

  it('closes while Kafka hangs, after the deadline of what waits', async () => {
    const appender = openAppender({ deadlineMs: 500 });
    await appender.append(record('a'));
    network.stall();
    const appended = appender.append(record('a'));
    const startMs = performance.now();
    await Promise.all([appender.close(), expect(appended).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable'))]);
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  it('lets what was given settle before it closes', async () => {
    const appender = openAppender();
    const appended = Array.from({ length: 100 }, (_, index) => appender.append(record(`key-${index}`)));
    await appender.close();
    expect(await Promise.all(appended)).toHaveLength(100);
  });
});

function record(key: string, value: Uint8Array = Buffer.from('{}')): LogRecord {
  return { key, headers: [['ce_type', 'Tested']], value };
}

function openReader(): KafkaEventReader {
  const reader = new KafkaEventReader({ connection: testTopic.connection, topic: testTopic.topic });
  opened.push(reader);
  return reader;
}

async function read(positions: Parameters<KafkaEventReader['readAt']>[0]): Promise<ReadonlyArray<StoredRecord | null>> {
  return openReader().readAt(positions);
}

async function readAll(): Promise<StoredRecord[]> {
  const reader = openReader();
  const end = await reader.endPositions();
  const cursor = reader.openCursor(new Map());
  const records: StoredRecord[] = [];
  while ([...end].some(([partition, offset]) => (cursor.positions().get(partition) ?? 0) < offset)) {
    records.push(...(await cursor.next({ maxRecords: 1_000, waitMs: 5_000 })));
  }
  return records;
}

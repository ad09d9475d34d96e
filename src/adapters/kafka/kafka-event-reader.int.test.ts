import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { brokerFiles } from '../../../test/support/kafka-brokers.ts';
import { damageLastBatch, KafkaTestTopic } from '../../../test/support/kafka-harness.ts';
import { StalledNetwork } from '../../../test/support/kafka-stalled-network.ts';
import { hasCode } from '../../domain/errors.ts';
import type { StoredRecord } from '../../domain/log-record.ts';
import type { AppendedRecord } from '../../ports/event-appender.ts';
import type { EventCursor } from '../../ports/event-reader.ts';
import type { LogFields, Logger } from '../../ports/logger.ts';
import { KafkaEventAppender } from './kafka-event-appender.ts';
import { KafkaEventReader } from './kafka-event-reader.ts';

let testTopic: KafkaTestTopic;
let network: StalledNetwork;
let opened: { close(): Promise<void> }[];

beforeEach(async () => {
  network = new StalledNetwork();
  testTopic = new KafkaTestTopic();
  opened = [];
  await testTopic.create(3);
});

afterEach(async () => {
  network.close();
  await Promise.all(opened.map((each) => each.close()));
  await testTopic.remove();
});

function open(logger?: Logger): { appender: KafkaEventAppender; reader: KafkaEventReader } {
  const { connection, topic } = testTopic;
  const appender = new KafkaEventAppender({ connection, topic });
  const reader = new KafkaEventReader({ connection, topic, ...(logger && { logger }) });
  opened.push(appender, reader);
  return { appender, reader };
}

describe('reading from Kafka', () => {
  it('loses nothing while it pauses and the network fails, and repeats nothing', async () => {
    const { appender, reader } = open();
    await appendMany(appender, 0, 300);
    const cursor = reader.openCursor(new Map());
    const seen = [...(await cursor.next({ maxRecords: 10, waitMs: 5_000 }))];
    await appendMany(appender, 300, 300);
    network.stall();
    await expect(readUntil(cursor, 600, seen)).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable'));
    network.resume();
    await readUntil(cursor, 600, seen);
    expect(seen.map(indexOf).toSorted((a, b) => a - b)).toEqual(upTo(600));
    expectGapless(seen);
  });

  it('gives every partition its turn', async () => {
    const { appender, reader } = open();
    await appendMany(appender, 0, 3_000);
    const first = await until(reader.openCursor(new Map()), (records) => records.length > 0, 30);
    expect(new Set(first.map(({ partition }) => partition)).size).toBe(3);
  });

  it('gives what came while its caller was busy at once, not record by record', async () => {
    const { appender, reader } = open();
    const cursor = reader.openCursor(new Map());
    await appendMany(appender, 0, 1);
    expect(await until(cursor, (records) => records.length > 0)).toHaveLength(1);
    await appendOneByOne(appender, 1, 30);
    expect(await cursor.next({ maxRecords: 100, waitMs: 5_000 })).toHaveLength(30);
  });

  it('finds many single records in any order, those of long batches and those that stand alone', async () => {
    const { appender, reader } = open();
    const positions = [...(await appendMany(appender, 0, 1_500)), ...(await appendOneByOne(appender, 1_500, 40))];
    const wanted = positions.map((position, index) => ({ position, index })).toSorted((a, b) => (a.index * 7_919) % 1_540 - ((b.index * 7_919) % 1_540));
    const found = await reader.readAt([...wanted.map(({ position }) => position), { partition: 3, offset: 0 }, { partition: 0, offset: -1 }, { partition: 0, offset: 1e9 }]);
    expect(found.map((each) => each && indexOf(each))).toEqual([...wanted.map(({ index }) => index), null, null, null]);
  });

  it('says that history was lost when the topic was created anew, whatever it is asked', async () => {
    const { appender, reader } = open();
    const position = await appender.append({ key: 'a', headers: [], value: Buffer.from('{}') });
    const identity = await reader.identity();
    const cursor = reader.openCursor(await reader.endPositions());
    expect(await cursor.next({ maxRecords: 1, waitMs: 10 })).toEqual([]);
    await testTopic.recreate(3);
    // Longer than the old one, so that its offsets alone would betray nothing.
    await appendMany(open().appender, 0, 100);
    const lost = (error: unknown): boolean => hasCode(error, 'history-lost');
    await expect(cursor.next({ maxRecords: 1, waitMs: 5_000 })).rejects.toSatisfy(lost);
    await expect(reader.openCursor(new Map()).next({ maxRecords: 1, waitMs: 5_000 })).rejects.toSatisfy(lost);
    await expect(reader.endPositions()).rejects.toSatisfy(lost);
    await expect(reader.readAt([position])).rejects.toSatisfy(lost);
    // Whoever asks which log it is now gets the answer, and may begin with that one.
    expect(await reader.identity()).not.toBe(identity);
    expect([...(await reader.endPositions()).values()].reduce((sum, end) => sum + end, 0)).toBe(100);
  });

  it('says that history was lost when a position names a partition that is not there', async () => {
    const { reader } = open();
    const cursor = reader.openCursor(new Map([[7, 5]]));
    await expect(cursor.next({ maxRecords: 1, waitMs: 5_000 })).rejects.toSatisfy((error) => hasCode(error, 'history-lost'));
  });

  it('waits for a topic that does not exist without calling its history lost', async () => {
    const { reader } = open();
    await testTopic.delete();
    const cursor = reader.openCursor(new Map());
    await expect(cursor.next({ maxRecords: 1, waitMs: 1_000 })).rejects.toThrow(/does not exist\. Create it with: daybook topic create/);
    await testTopic.create(3);
    expect(await cursor.next({ maxRecords: 1, waitMs: 10 })).toEqual([]);
  });

  it.skipIf(!brokerFiles())('tells the operator of a batch that is corrupt, after asking for it twice', async () => {
    const errors: LogFields[] = [];
    const nothing = (): void => undefined;
    const { appender, reader } = open({ debug: nothing, info: nothing, warn: nothing, error: (fields) => void errors.push(fields) });
    const position = await appender.append({ key: 'a', headers: [], value: Buffer.from('{}') });
    damageLastBatch(testTopic.topic, position);
    const [shown] = await until(reader.openCursor(new Map()), (records) => records.length > 0);
    expect(shown).toMatchObject({ partition: position.partition, offset: 0, key: null, headers: [] });
    expect(errors).toEqual([{ topic: testTopic.topic, partition: position.partition, offset: 0, reason: 'its checksum does not fit its bytes' }]);
    expect((await reader.readAt([position]))[0]).toMatchObject({ key: null });
  });

  it('closes within two seconds while Kafka hangs', async () => {
    const { appender, reader } = open();
    await appendMany(appender, 0, 10);
    const cursor = reader.openCursor(new Map());
    await cursor.next({ maxRecords: 1, waitMs: 5_000 });
    network.stall();
    const waiting = cursor.next({ maxRecords: 100, waitMs: 60_000 }).catch(() => []);
    const startMs = performance.now();
    await reader.close();
    await waiting;
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('takes up a wait again after it was woken, without a record lost', async () => {
    const { appender, reader } = open();
    const cursor = reader.openCursor(new Map());
    const seen: StoredRecord[] = [];
    const writing = appendOneByOne(appender, 0, 100);
    const waking = setInterval(() => cursor.wake(), 3);
    while (seen.length < 100) seen.push(...(await cursor.next({ maxRecords: 3, waitMs: 5_000 })));
    clearInterval(waking);
    await writing;
    expect(seen.map(indexOf).toSorted((a, b) => a - b)).toEqual(upTo(100));
  });
});

function appendMany(appender: KafkaEventAppender, from: number, count: number): Promise<AppendedRecord[]> {
  return Promise.all(upTo(count).map((index) => appendOne(appender, from + index)));
}

async function appendOneByOne(appender: KafkaEventAppender, from: number, count: number): Promise<AppendedRecord[]> {
  const positions: AppendedRecord[] = [];
  for (const index of upTo(count)) positions.push(await appendOne(appender, from + index));
  return positions;
}

function appendOne(appender: KafkaEventAppender, index: number): Promise<AppendedRecord> {
  return appender.append({ key: `key-${index}`, headers: [['index', String(index)]], value: Buffer.from(`{"index":${index}}`) });
}

async function until(cursor: EventCursor, enough: (records: readonly StoredRecord[]) => boolean, maxRecords = 100): Promise<readonly StoredRecord[]> {
  for (let tries = 0; tries < 20; tries += 1) {
    const records = await cursor.next({ maxRecords, waitMs: 1_000 });
    if (enough(records)) return records;
  }
  throw new Error('nothing came');
}

async function readUntil(cursor: EventCursor, count: number, seen: StoredRecord[]): Promise<void> {
  while (seen.length < count) seen.push(...(await cursor.next({ maxRecords: 10, waitMs: 10_000 })));
}

function expectGapless(records: readonly StoredRecord[]): void {
  const next = new Map<number, number>();
  for (const { partition, offset } of records) {
    expect(offset).toBe(next.get(partition) ?? 0);
    next.set(partition, offset + 1);
  }
}

function indexOf({ headers }: StoredRecord): number {
  return Number(headers[0]?.[1]);
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index);
}

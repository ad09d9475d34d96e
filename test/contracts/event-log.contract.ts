import { expect } from 'vitest';
import { hasCode } from '../../src/domain/errors.ts';
import type { LogPosition, LogRecord, Positions, StoredRecord } from '../../src/domain/log-record.ts';
import type { EventAppender } from '../../src/ports/event-appender.ts';
import type { EventReader } from '../../src/ports/event-reader.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

export interface OpenLog {
  readonly appender: EventAppender;
  readonly reader: EventReader;
  /** Idempotent. */
  close(): Promise<void>;
}

export type EventLogCapability = 'crash' | 'outage' | 'corruption' | 'replacement' | 'gapless offsets' | 'order of unsettled calls';

export interface EventLogHarness extends ContractHarness {
  /** Opens the log. Every opening of one harness finds the same data; it is open once at a time. */
  open(): Promise<OpenLog>;
  /** A reader beside, as another process has it. Closed with the harness. */
  openReader(): Promise<EventReader>;
  /** Runs `work` on the open log, breaks everything off the moment it settles, without any closing, and opens again. */
  reopenAfterCrash(work: (appender: Pick<EventAppender, 'append'>) => Promise<unknown>): Promise<OpenLog>;
  /** Makes the open log unable to store; the returned function mends it. */
  breakLog(): Promise<() => Promise<void>>;
  /** Writes something that is no record behind the log's end, past the appender, while the log is closed. */
  plantCorruptRecord(): Promise<LogPosition>;
  /** Deletes the closed log; the next `open` makes it anew. */
  deleteLog(): Promise<void>;
  /** A record whose value has this many bytes is too large. */
  readonly tooManyBytes: number;
  /** Within this time an append fails when the log cannot store. */
  readonly deadlineMs: number;
}

type Check = ContractCheck<EventLogHarness, EventLogCapability>;

export function eventLogContract(adapter: AdapterUnderTest<EventLogHarness, EventLogCapability>): void {
  describeContract('EventAppender and EventReader', eventLogChecks, adapter);
}

const writing: readonly Check[] = [
  {
    name: 'resolves an append only when every reader can read the record',
    async run(harness) {
      const { appender } = await harness.open();
      const beside = await harness.openReader();
      for (let index = 0; index < 20; index += 1) {
        const position = await appender.append(record('task', index));
        expect(await beside.readAt([position])).toEqual([stored(record('task', index), position)]);
      }
    },
  },
  {
    name: 'keeps every acknowledged record across a crash',
    needs: 'crash',
    async run(harness) {
      const acknowledged: (LogPosition & { index: number })[] = [];
      const { reader } = await harness.reopenAfterCrash(async (appender) => {
        const append = async (index: number) => acknowledged.push({ ...(await appender.append(record('task', index))), index });
        // The last ones are on their way when it dies: they may be kept or lost, the acknowledged ones may not.
        const inFlight = Array.from({ length: 200 }, (_, index) => append(index));
        await Promise.all(inFlight.slice(0, 120));
      });
      expect(acknowledged.length).toBeGreaterThanOrEqual(120);
      const kept = new Map((await readAll(reader)).map((found) => [found.offset, indexOf(found)]));
      for (const { offset, index } of acknowledged) expect(kept.get(offset)).toBe(index);
    },
  },
  {
    name: 'gives back every byte and every character as it was appended',
    async run(harness) {
      const { appender, reader } = await harness.open();
      const odd: LogRecord[] = [
        { key: 'täsk 任务 🗒', headers: [['ce_type', 'X'], ['empty', ''], ['text', 'ü\n"\\\u0000🎈']], value: bytesUpTo(255) },
        { key: 'no headers, no value', headers: [], value: new Uint8Array() },
        { key: 'long', headers: [['h', 'x'.repeat(5_000)]], value: new Uint8Array(100_000).fill(7) },
      ];
      const positions = await Promise.all(odd.map((each) => appender.append(each)));
      const beside = await harness.openReader();
      const expected = odd.map((each, index) => stored(each, positions[index] as LogPosition));
      for (const each of [reader, beside]) expect(await each.readAt(positions)).toEqual(expected);
    },
  },
  {
    name: 'keeps the order of a key when each call follows the settled one before',
    async run(harness) {
      const { appender, reader } = await harness.open();
      const keys = ['a', 'b', 'c', 'd'];
      await Promise.all(
        keys.map(async (key) => {
          for (let index = 0; index < 25; index += 1) await appender.append(record(key, index));
        }),
      );
      const all = await readAll(reader);
      for (const key of keys) expect(all.filter((each) => each.key === key).map(indexOf)).toEqual(upTo(25));
    },
  },
  {
    name: 'keeps the order of calls that were not awaited',
    needs: 'order of unsettled calls',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await Promise.all(upTo(100).map((index) => appender.append(record('task', index))));
      expect((await readAll(reader)).map(indexOf)).toEqual(upTo(100));
    },
  },
  {
    name: 'numbers the records of a partition from 0 without a gap, across openings',
    needs: 'gapless offsets',
    async run(harness) {
      for (let opening = 0; opening < 3; opening += 1) {
        const log = await harness.open();
        await Promise.all(upTo(10).map((index) => log.appender.append(record('task', index))));
        await log.close();
      }
      const { reader } = await harness.open();
      expect((await readAll(reader)).map(({ offset }) => offset)).toEqual(upTo(30));
    },
  },
  {
    name: 'rejects a record that is too large, and takes the next one',
    async run(harness) {
      const { appender, reader } = await harness.open();
      const tooLarge = { ...record('task', 0), value: new Uint8Array(harness.tooManyBytes) };
      await expect(appender.append(tooLarge)).rejects.toSatisfy((error) => hasCode(error, 'log-rejected'));
      await appender.append(record('task', 1));
      expect((await readAll(reader)).map(indexOf)).toEqual([1]);
    },
  },
  {
    name: 'fails an append within its deadline while the log cannot store, and stores again afterwards',
    needs: 'outage',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await appender.append(record('task', 0));
      const mend = await harness.breakLog();
      const startMs = performance.now();
      const failed = await Promise.allSettled(upTo(10).map((index) => appender.append(record('lost', index))));
      expect(performance.now() - startMs).toBeLessThan(harness.deadlineMs);
      for (const each of failed) {
        expect(each.status === 'rejected' && hasCode(each.reason, 'log-unavailable'), JSON.stringify(each)).toBe(true);
      }
      await mend();
      await appender.append(record('task', 1));
      // Those that failed may have been stored; what was acknowledged must be there, once, in order.
      expect((await readAll(reader)).filter(({ key }) => key === 'task').map(indexOf)).toEqual([0, 1]);
    },
  },
  {
    name: 'stops taking records when closed, also when closed twice',
    async run(harness) {
      const log = await harness.open();
      await log.close();
      await log.close();
      await expect(log.appender.append(record('task', 0))).rejects.toSatisfy((error) => hasCode(error, 'stopped'));
    },
  },
];

const reading: readonly Check[] = [
  {
    name: 'reads from the beginning when the positions name nothing, each record once, in the order of offsets',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await appendMany(appender, 50);
      for (const each of [reader, await harness.openReader()]) {
        for (const batch of [1, 7, 1_000]) {
          const all = await readAll(each, new Map(), batch);
          expect(all.map(indexOf).toSorted((a, b) => a - b)).toEqual(upTo(50));
          for (const [partition] of await each.endPositions()) {
            const offsets = all.filter((found) => found.partition === partition).map(({ offset }) => offset);
            expect(offsets.toSorted((a, b) => a - b)).toEqual(offsets);
          }
        }
      }
    },
  },
  {
    name: 'gives at most as many records as were asked for',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await appendMany(appender, 30);
      expect(await reader.openCursor(new Map()).next({ maxRecords: 8, waitMs: 5_000 })).toHaveLength(8);
    },
  },
  {
    name: 'reads only the partitions that are asked for, and waits when there are none',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await appendMany(appender, 30);
      const all = await readAll(reader);
      for (const each of [reader, await harness.openReader()]) {
        const partition = all.at(-1)?.partition ?? 0;
        const ofPartition = all.filter((found) => found.partition === partition);
        const cursor = each.openCursor(new Map(), new Set([partition]));
        const read: StoredRecord[] = [];
        while (read.length < ofPartition.length) read.push(...(await cursor.next({ maxRecords: 7, waitMs: 5_000 })));
        expect(read).toEqual(ofPartition);
        expect(await cursor.next({ maxRecords: 7, waitMs: 50 })).toEqual([]);
        cursor.close();
        const nothing = each.openCursor(new Map(), new Set());
        expect(await nothing.next({ maxRecords: 7, waitMs: 50 })).toEqual([]);
        nothing.close();
      }
    },
  },
  {
    name: 'lets readers go their own ways',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await appendMany(appender, 20);
      const slow = reader.openCursor(new Map());
      const first = await slow.next({ maxRecords: 5, waitMs: 5_000 });
      const quick = await readAll(reader);
      const beside = await readAll(await harness.openReader());
      const rest = await readAll(reader, slow.positions());
      expect(quick).toHaveLength(20);
      expect(beside).toEqual(quick);
      expect([...first, ...rest].map(indexOf).toSorted((a, b) => a - b)).toEqual(upTo(20));
    },
  },
  {
    name: 'resumes from kept positions after a crash, skipping nothing and repeating nothing',
    needs: 'crash',
    async run(harness) {
      const log = await harness.open();
      await appendMany(log.appender, 40);
      const cursor = log.reader.openCursor(new Map());
      const before = await cursor.next({ maxRecords: 15, waitMs: 5_000 });
      const kept = cursor.positions();
      cursor.close();
      await log.close();
      const { reader } = await harness.reopenAfterCrash((appender) => appendMany(appender, 10, 40));
      const after = await readAll(reader, kept);
      expect([...before, ...after].map(indexOf).toSorted((a, b) => a - b)).toEqual(upTo(50));
    },
  },
  {
    name: 'ends a wait with the record that comes',
    async run(harness) {
      const { appender, reader } = await harness.open();
      await appender.append(record('task', 0));
      for (const each of [reader, await harness.openReader()]) {
        const cursor = each.openCursor(await each.endPositions());
        const waiting = cursor.next({ maxRecords: 10, waitMs: 20_000 });
        const startMs = performance.now();
        await appender.append(record('task', 1));
        expect((await waiting).map(indexOf)).toEqual([1]);
        expect(performance.now() - startMs).toBeLessThan(10_000);
        cursor.close();
      }
    },
  },
  {
    name: 'ends a wait with nothing when its time is over, when it is woken, and when it is closed',
    async run(harness) {
      const { reader } = await harness.open();
      for (const each of [reader, await harness.openReader()]) {
        const cursor = each.openCursor(new Map());
        expect(await cursor.next({ maxRecords: 10, waitMs: 30 })).toEqual([]);
        const woken = cursor.next({ maxRecords: 10, waitMs: 600_000 });
        cursor.wake();
        expect(await woken).toEqual([]);
        const closed = cursor.next({ maxRecords: 10, waitMs: 600_000 });
        cursor.close();
        cursor.close();
        expect(await closed).toEqual([]);
        await expect(cursor.next({ maxRecords: 10, waitMs: 0 })).rejects.toSatisfy((error) => hasCode(error, 'stopped'));
      }
    },
  },
  {
    name: 'reads single records by their address, in the order asked for, and null where there is none',
    async run(harness) {
      const { appender, reader } = await harness.open();
      const positions = await Promise.all(upTo(10).map((index) => appender.append(record('task', index))));
      const [third, eighth] = [positions[3] as LogPosition, positions[8] as LogPosition];
      const beyond = { partition: third.partition, offset: third.offset + 1_000 };
      for (const each of [reader, await harness.openReader()]) {
        const found = await each.readAt([eighth, beyond, third, eighth]);
        expect(found.map((one) => one && indexOf(one))).toEqual([8, null, 3, 8]);
      }
    },
  },
  {
    name: 'shows a record that nobody can read, in its place, and goes on behind it',
    needs: 'corruption',
    async run(harness) {
      const log = await harness.open();
      await appendMany(log.appender, 3);
      await log.close();
      const planted = await harness.plantCorruptRecord();
      const { appender, reader } = await harness.open();
      await appender.append(record('task', 3));
      const all = await readAll(reader);
      const broken = all.find(({ partition, offset }) => partition === planted.partition && offset === planted.offset);
      expect(broken).toMatchObject({ key: null, headers: [] });
      expect(all.filter((each) => each !== broken).map(indexOf).toSorted((a, b) => a - b)).toEqual(upTo(4));
    },
  },
  {
    name: 'says that history was lost when the log ends before the position',
    async run(harness) {
      const { appender, reader } = await harness.open();
      const { partition, offset } = await appender.append(record('task', 0));
      for (const each of [reader, await harness.openReader()]) {
        const cursor = each.openCursor(new Map([...(await each.endPositions()), [partition, offset + 100]]));
        await expect(cursor.next({ maxRecords: 10, waitMs: 1_000 })).rejects.toSatisfy((error) => hasCode(error, 'history-lost'));
        cursor.close();
      }
    },
  },
  {
    name: 'keeps its identity across openings, and a log made anew has another one',
    needs: 'replacement',
    async run(harness) {
      const first = await harness.open();
      const identity = await first.reader.identity();
      await first.close();
      const second = await harness.open();
      expect(await second.reader.identity()).toBe(identity);
      expect(await (await harness.openReader()).identity()).toBe(identity);
      await second.close();
      await harness.deleteLog();
      expect(await (await harness.open()).reader.identity()).not.toBe(identity);
    },
  },
  {
    name: 'tells a cursor that its log was replaced by another one',
    needs: 'replacement',
    async run(harness) {
      const log = await harness.open();
      await appendMany(log.appender, 5);
      const cursor = (await harness.openReader()).openCursor(new Map());
      await cursor.next({ maxRecords: 100, waitMs: 5_000 });
      await log.close();
      await harness.deleteLog();
      await harness.open();
      await expect(cursor.next({ maxRecords: 100, waitMs: 100 })).rejects.toSatisfy((error) => hasCode(error, 'history-lost'));
    },
  },
];

export const eventLogChecks: readonly Check[] = [...writing, ...reading];

function record(key: string, index: number): LogRecord {
  return { key, headers: [['ce_type', 'Tested'], ['index', String(index)]], value: new TextEncoder().encode(`{"index":${index}}`) };
}

function stored({ key, headers, value }: LogRecord, { partition, offset }: LogPosition): unknown {
  // Bytes are compared as bytes, whichever class of array carries them.
  return { partition, offset, timestampMs: expect.any(Number), key, headers, value: expect.toSatisfy((found: Uint8Array) => Buffer.compare(found, value) === 0) };
}

function indexOf(found: StoredRecord): number {
  return Number(found.headers.find(([name]) => name === 'index')?.[1]);
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index);
}

function bytesUpTo(last: number): Uint8Array {
  return Uint8Array.from(upTo(last + 1));
}

/** Appends records of several keys, some together, some after each other. */
async function appendMany(appender: Pick<EventAppender, 'append'>, count: number, from = 0): Promise<void> {
  for (let index = 0; index < count; index += 5) {
    const together = upTo(Math.min(5, count - index)).map((offset) => from + index + offset);
    await Promise.all(together.map((each) => appender.append(record(`key-${each % 3}`, each))));
  }
}

/** Reads until the log's present end. */
async function readAll(reader: EventReader, from: Positions = new Map(), maxRecords = 1_000): Promise<StoredRecord[]> {
  const end = await reader.endPositions();
  const cursor = reader.openCursor(from);
  const all: StoredRecord[] = [];
  while ([...end].some(([partition, offset]) => (cursor.positions().get(partition) ?? 0) < offset)) {
    const batch = await cursor.next({ maxRecords, waitMs: 5_000 });
    expect(batch.length, 'records before the end of the log').toBeGreaterThan(0);
    expect(batch.length).toBeLessThanOrEqual(maxRecords);
    all.push(...batch);
  }
  cursor.close();
  return all;
}

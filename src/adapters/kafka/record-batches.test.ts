import { compressionsAlgorithmsByBitmask, crc32c } from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../domain/log-record.ts';
import { RecordBatches } from './record-batches.ts';

describe('record batches', () => {
  it.each([
    [0, 'none'],
    [1, 'gzip'],
    [2, 'snappy'],
    [3, 'lz4'],
    [4, 'zstd'],
  ])('are read when compressed by number %i, %s', (compression) => {
    expect(offsetsAndValues(readAll(batch({ base: 5, values: ['a', 'b'], compression }), 5))).toEqual(['5 a', '6 b']);
  });

  it('give keys, headers and the time of their record, or that of the log', () => {
    const [first, second] = readAll(batch({ base: 0, values: ['a', 'b'] }), 0).records;
    expect(first).toEqual({ partition: 7, offset: 0, timestampMs: 1_000, key: 'key-a', headers: [['ü', '任务'], ['empty', '']], value: Buffer.from('a') });
    expect(second?.timestampMs).toBe(1_001);
    expect(readAll(batch({ base: 0, values: ['a', 'b'], attributes: 0x08 }), 0).records.map(({ timestampMs }) => timestampMs)).toEqual([1_001, 1_001]);
  });

  it('begin at the position, in the middle of a batch', () => {
    const bytes = Buffer.concat([batch({ base: 0, values: ['a', 'b'] }), batch({ base: 2, values: ['c', 'd'] })]);
    expect(offsetsAndValues(readAll(bytes, 3))).toEqual(['3 d']);
  });

  it('are handed out in pieces, and go on where the last piece ended', () => {
    const batches = new RecordBatches(7, Buffer.concat([batch({ base: 0, values: ['a', 'b', 'c'] }), batch({ base: 3, values: ['d'] })]), 0);
    const pieces = [2, 1, 5].map((max) => {
      const records: StoredRecord[] = [];
      const more = batches.read(max, records);
      return [records.map(({ offset }) => offset), batches.next, more];
    });
    expect(pieces).toEqual([[[0, 1], 2, true], [[2], 3, true], [[3], 4, false]]);
  });

  it('are left out when they are control batches or incomplete, and the position moves over the former only', () => {
    const whole = batch({ base: 9, values: ['x', 'y'] });
    const bytes = Buffer.concat([batch({ base: 7, values: ['?', '?'], attributes: 0x20 }), whole.subarray(0, whole.length - 1)]);
    expect(readAll(bytes, 7)).toMatchObject({ records: [], next: 9 });
  });

  it('end at one whose checksum does not fit, and name the place', () => {
    const damaged = batch({ base: 2, values: ['b', 'c'] });
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const batches = new RecordBatches(7, Buffer.concat([batch({ base: 0, values: ['a', 'z'] }), damaged, batch({ base: 4, values: ['d'] })]), 0);
    const records: StoredRecord[] = [];
    expect(batches.read(100, records)).toBe(false);
    expect(records.map(({ offset }) => offset)).toEqual([0, 1]);
    expect(batches.corrupt).toEqual({ partition: 7, offset: 2, reason: 'its checksum does not fit its bytes' });
    expect(batches.next).toBe(2);
  });

  it('show one that stays corrupt, each offset in its place, and go on behind it', () => {
    const damaged = batch({ base: 2, values: ['b', 'c'] });
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const { records } = readAll(Buffer.concat([batch({ base: 0, values: ['a', 'z'] }), damaged, batch({ base: 4, values: ['d'] })]), 0, true);
    expect(records.map(({ offset, key }) => [offset, key])).toEqual([[0, 'key-a'], [1, 'key-z'], [2, null], [3, null], [4, 'key-d']]);
    expect(Buffer.compare(records[2]?.value ?? Buffer.alloc(0), damaged)).toBe(0);
  });

  it('show what follows in a batch that breaks off though its checksum fits', () => {
    const broken = batch({ base: 0, values: ['a', 'b', 'c'], count: 5 });
    expect(new RecordBatches(7, broken, 0).read(100, [])).toBe(false);
    expect(readAll(broken, 0, true).records.map(({ offset, key }) => [offset, key])).toEqual([[0, 'key-a'], [1, 'key-b'], [2, 'key-c'], [3, null], [4, null]]);
  });

  it('name a compression that nobody knows, and what to do', () => {
    const batches = new RecordBatches(7, batch({ base: 0, values: ['a'], attributes: 0x06 }), 0);
    batches.read(1, []);
    expect(batches.corrupt?.reason).toMatch(/compression, number 6, is not known here: have its producer write zstd/);
  });
});

function readAll(bytes: Buffer, from: number, showCorrupt = false): { records: StoredRecord[]; next: number } {
  const batches = new RecordBatches(7, bytes, from, showCorrupt);
  const records: StoredRecord[] = [];
  batches.read(1_000, records);
  return { records, next: batches.next };
}

function offsetsAndValues({ records }: { records: StoredRecord[] }): string[] {
  return records.map(({ offset, value }) => `${offset} ${Buffer.from(value).toString()}`);
}

interface BatchOptions {
  readonly base: number;
  readonly values: readonly string[];
  readonly compression?: number;
  readonly attributes?: number;
  /** Said to be in it; default: as many as there are. */
  readonly count?: number;
}

/** Writes a batch as the protocol's documentation has it, with nothing of the code under test. */
function batch({ base, values, compression = 0, attributes = 0, count = values.length }: BatchOptions): Buffer {
  const plain = Buffer.concat(values.map((value, index) => record(index, value)));
  const records = compression === 0 ? plain : (compressionsAlgorithmsByBitmask[compression]?.compressSync(plain) as Buffer);
  const bytes = Buffer.alloc(61 + records.length);
  bytes.writeBigInt64BE(BigInt(base), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt32BE(3, 12); // leader epoch
  bytes.writeInt8(2, 16);
  bytes.writeInt16BE(attributes | compression, 21);
  bytes.writeInt32BE(count - 1, 23);
  bytes.writeBigInt64BE(1_000n, 27);
  bytes.writeBigInt64BE(1_000n + BigInt(values.length - 1), 35);
  bytes.writeInt32BE(count, 57);
  records.copy(bytes, 61);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

function record(index: number, value: string): Buffer {
  const headers = [...varint(2), ...text('ü'), ...text('任务'), ...text('empty'), ...text('')];
  const body = Buffer.from([0, ...varint(index), ...varint(index), ...text(`key-${value}`), ...text(value), ...headers]);
  return Buffer.from([...varint(body.length), ...body]);
}

function text(string: string): number[] {
  const bytes = Buffer.from(string);
  return [...varint(bytes.length), ...bytes];
}

function varint(number: number): number[] {
  let left = number >= 0 ? number * 2 : -number * 2 - 1;
  const bytes: number[] = [];
  for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left & 0x7f) | 0x80);
  return [...bytes, left];
}

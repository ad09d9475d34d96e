import { createRecordsBatch, NumericMap, Reader, readRecordsBatch, type MessageRecord } from '@platformatic/kafka';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogRecord, StoredRecord } from '../../domain/log-record.ts';
import { RecordBatches } from './record-batches.ts';
import { compressedFromBytes, encodeBatch, encodeRecord } from './record-encoder.ts';

const origin = { producerId: 4_242n, producerEpoch: 7, firstSequence: 123_456, timestampMs: 1_764_000_000_123n };

/** Lengths take one byte up to 63, two up to 8,191, three beyond; texts may be longer in UTF-8 than they look. */
const cases: [string, LogRecord[]][] = [
  ['one record', [record({ value: 'a' })]],
  ['an empty value, key and header', [record({ key: '', value: '', headers: [['empty', ''], ['', 'x']] })]],
  ['no headers', [record({ headers: [] })]],
  ['names and texts that are not ASCII', [record({ key: '任务', headers: [['ü', '任务 🎉'], ['lone', '\ud800']] })]],
  ['texts that need a longer length than their characters', [21, 63, 64, 2_731, 8_191, 8_192].flatMap((length) => [record({ key: 'ü'.repeat(length) }), record({ headers: [['x', '任'.repeat(length)]] })])],
  ['parts of every length that a length changes at', [62, 63, 64, 127, 128, 8_191, 8_192, 16_384, 70_000].map((length) => record({ value: 'v'.repeat(length), headers: [['h', 'x'.repeat(length)]] }))],
  ['texts that only in UTF-8 outgrow the space of most records', [record({ value: 'v'.repeat(60_000), headers: [['x', '任'.repeat(3_000)]] }), record({ key: '任'.repeat(3_000), value: 'v'.repeat(60_000) })]],
  ['a value of a megabyte', [record({ value: 'v'.repeat(1_048_576) })]],
  ['as many records as one send takes', Array.from({ length: 1_000 }, (_, index) => record({ key: `key-${index}`, value: 'v'.repeat(index) }))],
];

describe('an encoded batch', () => {
  it.each(cases)("is byte for byte what the library's own encoder writes: %s", (_, records) => {
    const encoded = records.map(encodeRecord);
    const batch = encodeBatch(encoded, origin);
    expect(batch.equals(libraryBatch(records, isCompressed(batch)))).toBe(true);
  });

  it.each(cases)("is read back by our reader and by the library's: %s", (_, records) => {
    const batch = encodeBatch(records.map(encodeRecord), origin);
    expect(read(batch)).toEqual(records.map((each, offset) => ({ partition: 3, offset, timestampMs: Number(origin.timestampMs), ...wellFormed(each) })));
    expect(readByLibrary(batch)).toEqual(records.map(wellFormed));
  });

  it('holds for any records', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    const anyRecord = fc.record({ key: text, headers: fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name, maxLength: 12 }), value: fc.uint8Array({ maxLength: 300 }) });
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 40 }), (records) => {
        const batch = encodeBatch(records.map(encodeRecord), origin);
        expect(batch.equals(libraryBatch(records, isCompressed(batch)))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('is compressed from the size on at which that pays', () => {
    const small = encodeBatch([encodeRecord(record({ value: 'v'.repeat(compressedFromBytes / 2) }))], origin);
    const large = encodeBatch([encodeRecord(record({ value: 'v'.repeat(compressedFromBytes) }))], origin);
    expect([isCompressed(small), isCompressed(large)]).toEqual([false, true]);
    expect(large.length).toBeLessThan(small.length);
  });

  it('keeps every record as it was given, whatever is encoded or changed after it', () => {
    const value = Buffer.from('first');
    const first = encodeRecord({ key: 'a', headers: [], value });
    value.fill('x');
    const second = encodeRecord(record({ key: 'b', value: 'second' }));
    expect(read(encodeBatch([first, second], origin)).map((each) => Buffer.from(each.value).toString())).toEqual(['first', 'second']);
  });
});

function record({ key = 'key', value = '{}', headers = [['ce_type', 'Tested']] }: { key?: string; value?: string; headers?: [string, string][] }): LogRecord {
  return { key, headers, value: Buffer.from(value) };
}

function libraryBatch(records: readonly LogRecord[], compressed: boolean): Buffer {
  const messages = records.map(({ key, headers, value }): MessageRecord => {
    const encoded = new Map(headers.map(([name, text]) => [Buffer.from(name), Buffer.from(text)]));
    return { topic: 't', partition: 3, key: Buffer.from(key), value: Buffer.from(value), headers: encoded, timestamp: origin.timestampMs };
  });
  const sequences = new NumericMap([['t:3', origin.firstSequence]]);
  const { producerId, producerEpoch } = origin;
  return createRecordsBatch(messages, { producerId, producerEpoch, sequences, compression: compressed ? 'zstd' : 'none' }).buffer;
}

function isCompressed(batch: Buffer): boolean {
  return (batch.readInt16BE(21) & 7) === 4;
}

function read(batch: Buffer): StoredRecord[] {
  const batches = new RecordBatches(3, batch, 0);
  const records: StoredRecord[] = [];
  batches.read(10_000, records);
  expect(batches.corrupt).toBeUndefined();
  return records;
}

function readByLibrary(batch: Buffer): LogRecord[] {
  return readRecordsBatch(Reader.from(batch)).records.map(({ key, value, headers }) => ({
    key: key?.toString() ?? '',
    headers: headers.map(([name, text]) => [String(name), String(text)]),
    value: Buffer.from(value ?? []),
  }));
}

/** What UTF-8 cannot hold becomes U+FFFD. */
function wellFormed({ key, headers, value }: LogRecord): LogRecord {
  const inUtf8 = (text: string): string => Buffer.from(text).toString();
  return { key: inUtf8(key), headers: headers.map(([name, text]) => [inUtf8(name), inUtf8(text)]), value };
}

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LogRecord } from '../../domain/log-record.ts';
import { decodeRecord, decodeRow, encodeRecord, LogRowBuilder, maxRecordBytes } from './log-rows.ts';

const text = fc.string({ unit: fc.oneof(fc.constantFrom('\ud800', '\u0000', '"', '\\', 'ü', '🎈'), fc.string({ minLength: 1, maxLength: 1 })), maxLength: 30 });
const record: fc.Arbitrary<LogRecord> = fc.record({
  key: text,
  headers: fc.array(fc.tuple(text, text), { maxLength: 5 }),
  value: fc.uint8Array({ maxLength: 200 }),
});

it('gives every record of a row back as it was, at its offset', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (records) => {
      const row = new LogRowBuilder(16);
      for (const each of records) row.add(each);
      const decoded = decodeRow({ first: 40, n: records.length, timestamp: 7, data: row.data() });
      expect(decoded).toEqual(records.map((each, index) => ({ partition: 0, offset: 40 + index, timestampMs: 7, ...each })));
    }),
  );
});

it('never takes more bytes than it foretells', () => {
  fc.assert(fc.property(record, (each) => encodeRecord(each).length <= maxRecordBytes(each)));
});

it('shows any bytes as exactly as many records as the row claims, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 9 }), (data, n) => {
      const offsets = decodeRow({ first: 5, n, timestamp: 0, data }).map(({ offset }) => offset);
      expect(offsets).toEqual(Array.from({ length: n }, (_, index) => 5 + index));
    }),
  );
});

it('shows the records around a broken one', () => {
  const records = ['a', 'b', 'c'].map((key): LogRecord => ({ key, headers: [], value: new Uint8Array([1]) }));
  const row = new LogRowBuilder();
  for (const each of records) row.add(each);
  const data = Buffer.from(row.data());
  const second = encodeRecord(records[0] as LogRecord).length;
  data.write('!', second + 8);
  const keys = decodeRow({ first: 0, n: 3, timestamp: 0, data }).map(({ key }) => key);
  expect(keys).toEqual(['a', null, 'c']);
});

it('takes no bytes for a record that are not one', () => {
  const whole = encodeRecord({ key: 'k', headers: [['a', 'b']], value: new Uint8Array(10) });
  expect(decodeRecord(whole)).not.toBeNull();
  for (let length = 0; length < whole.length; length += 1) expect(decodeRecord(whole.subarray(0, length))).toBeNull();
});

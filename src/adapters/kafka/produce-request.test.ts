import { NumericMap, produceV11, type MessageRecord } from '@platformatic/kafka';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProduceRequest, type UnsentRecord } from './produce-request.ts';
import { encodeRecord } from './record-encoder.ts';

const options = { producerId: 9n, producerEpoch: 2, sequences: new NumericMap([['tasks:0', 17], ['tasks:5', 2_000_000_000]]) };
const sent: [partition: number, value: string][] = [[0, 'a'], [5, 'b'], [0, 'c'], [11, 'd'], [5, 'e']];

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_764_000_000_000 }));
afterEach(() => void vi.useRealTimers());

describe('a Produce request', () => {
  it("is byte for byte the library's own, with a batch and a first sequence for each partition", () => {
    expect(createProduceRequest(-1, 900, unsent(), options).buffer).toEqual(libraryRequest());
  });

  it('is the same when it is sent again later', () => {
    const records = unsent();
    const first = createProduceRequest(-1, 900, records, options).buffer;
    vi.advanceTimersByTime(1_000);
    expect(createProduceRequest(-1, 900, records, options).buffer).toEqual(first);
  });
});

function unsent(): UnsentRecord[] {
  return sent.map(([partition, value]) => ({ topic: 'tasks', partition, value: encodeRecord({ key: 'k', headers: [['h', 'x']], value: Buffer.from(value) }), timestamp: undefined }));
}

function libraryRequest(): Buffer {
  const messages = sent.map(([partition, value]): MessageRecord => ({ topic: 'tasks', partition, key: Buffer.from('k'), value: Buffer.from(value), headers: new Map([[Buffer.from('h'), Buffer.from('x')]]) }));
  return produceV11.createRequest(-1, 900, messages, { ...options, compression: 'none' }).buffer;
}

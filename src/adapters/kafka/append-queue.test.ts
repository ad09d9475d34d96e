import { describe, expect, it } from 'vitest';
import { AppendQueue, type WaitingRecord } from './append-queue.ts';

const ignore = (): void => undefined;

describe('the queue of an appender', () => {
  it('sends again before everything newer what was sent in vain', () => {
    const queue = new AppendQueue(2, { maxRecords: 2, maxPartitionBytes: 1_000 });
    for (const name of ['a', 'b', 'c']) queue.add(record(name, 0));
    const sent = queue.take([0]).get(0) ?? [];
    queue.add(record('d', 0));
    queue.putBack(0, sent);
    expect(keys(queue.take([0]))).toEqual(['a', 'b']);
    expect(keys(queue.take([0]))).toEqual(['c', 'd']);
  });

  it('keeps a batch within its records, and a partition within its bytes, but for a record that is alone', () => {
    const queue = new AppendQueue(2, { maxRecords: 3, maxPartitionBytes: 100 });
    for (const [name, bytes] of [['a', 60], ['b', 60], ['c', 300], ['d', 1]] as const) queue.add(record(name, 0, bytes));
    for (const name of ['v', 'w', 'x']) queue.add(record(name, 1));
    expect(keys(queue.take([0, 1]))).toEqual(['a', 'v', 'w']);
    expect(keys(queue.take([0]))).toEqual(['b']);
    expect(keys(queue.take([0]))).toEqual(['c']);
    expect(queue.waiting()).toEqual([0, 1]);
  });

  it('sends half as many after a batch was too large', () => {
    const queue = new AppendQueue(1, { maxRecords: 100, maxPartitionBytes: 1_000 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) queue.add(record(name, 0));
    queue.halve(0, 5);
    expect(keys(queue.take([0]))).toEqual(['a', 'b']);
  });

  it('gives out what has waited too long, and passes over what is settled', () => {
    const queue = new AppendQueue(2, { maxRecords: 100, maxPartitionBytes: 1_000 });
    const settled = record('b', 0, 1, 20);
    for (const each of [record('a', 0, 1, 10), settled, record('c', 1, 1, 10), record('d', 1, 1, 30)]) queue.add(each);
    expect(queue.takeOlderThan(20).map(({ key }) => key)).toEqual(['a', 'c']);
    settled.settled = true;
    expect(keys(queue.take([0, 1]))).toEqual(['d']);
  });
});

function record(key: string, partition: number, bytes = 1, queuedMs = 0): WaitingRecord {
  const message = { topic: 't', partition, value: Buffer.alloc(0) };
  return { key, message, bytes, queuedMs, resolve: ignore, reject: ignore, settled: false };
}

function keys(batch: ReadonlyMap<number, WaitingRecord[]>): string[] {
  return [...batch.values()].flat().map(({ key }) => key);
}

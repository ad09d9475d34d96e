import fc from 'fast-check';
import { expect, it } from 'vitest';
import { murmur2, partitionOf } from './partition-of.ts';

const encoder = new TextEncoder();

// The vectors of Kafka's own test, org.apache.kafka.common.utils.UtilsTest.testMurmur2.
it.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])("hashes %s as Kafka's Java client does", (key, hash) => {
  expect(murmur2(encoder.encode(key))).toBe(hash);
});

it.each([
  ['21', 12, ((-973932308 & 0x7fffffff) % 12)],
  ['foobar', 12, ((-790332482 & 0x7fffffff) % 12)],
  ['abc', 7, 479470107 % 7],
])('puts %s of %i partitions into %i: the sign bit is cleared, not the sign changed', (key, partitions, partition) => {
  expect(partitionOf(key, partitions)).toBe(partition);
});

it('has one partition where there is only one', () => {
  expect(partitionOf('anything', 1)).toBe(0);
});

it('always names a partition that exists, the same one for the same key', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 1_000 }), (key, partitions) => {
      const partition = partitionOf(key, partitions);
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
      expect(partitionOf(key, partitions)).toBe(partition);
    }),
    { numRuns: 1_000 },
  );
});

it('spreads task ids evenly over twelve partitions', () => {
  const counts = new Array<number>(12).fill(0);
  for (let index = 0; index < 12_000; index++) counts[partitionOf(`018f3c5e-0000-7000-8000-${String(index).padStart(12, '0')}`, 12)]! += 1;
  expect(Math.min(...counts)).toBeGreaterThan(850);
  expect(Math.max(...counts)).toBeLessThan(1_150);
});

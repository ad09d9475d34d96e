const encoder = new TextEncoder();

/**
 * The partition of a key, as Kafka's Java client computes it: `(murmur2(key) & 0x7fffffff) % partitions`.
 * @param key the task id; hashed as UTF-8
 * @param partitions the topic's partition count, at least 1
 */
export function partitionOf(key: string, partitions: number): number {
  return partitions === 1 ? 0 : (murmur2(encoder.encode(key)) & 0x7fffffff) % partitions;
}

/** MurmurHash2, 32 bits, with the seed of Kafka's `org.apache.kafka.common.utils.Utils.murmur2`. */
export function murmur2(bytes: Uint8Array): number {
  const multiplier = 0x5bd1e995;
  const length = bytes.length;
  let hash = 0x9747b28c ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24);
    word = Math.imul(word, multiplier);
    word ^= word >>> 24;
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier);
  }
  const left = length - at;
  if (left === 3) hash ^= byteAt(bytes, at + 2) << 16;
  if (left >= 2) hash ^= byteAt(bytes, at + 1) << 8;
  if (left >= 1) hash = Math.imul(hash ^ byteAt(bytes, at), multiplier);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return hash ^ (hash >>> 15);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

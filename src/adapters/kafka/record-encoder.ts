import { zstdCompressSync } from 'node:zlib';
import { crc32c } from '@platformatic/kafka';
import type { LogRecord } from '../../domain/log-record.ts';

/** What a batch says about its producer and its time. */
export interface BatchOrigin {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** Of its first record; the others follow it. By this number the leader knows a batch that was sent twice. */
  readonly firstSequence: number;
  /** By the producer's clock, epoch milliseconds, the same for all records; a topic of the log's clock replaces it. */
  readonly timestampMs: bigint;
}

/**
 * A smaller batch, mostly a single event, is not compressed: zstd would save a third of it, and costs 30 us and more
 * whatever is in a batch, then as much in the broker and in every reader. Two events already share half of their bytes.
 */
export const compressedFromBytes = 1_024;

/** Key, value and headers as they stand in a batch, which puts before them what depends on their place. */
export function encodeRecord({ key, headers, value }: LogRecord): Buffer {
  const longest = longestRecord(key, headers, value);
  const bytes = longest <= workspace.length ? workspace : Buffer.allocUnsafe(longest);
  let at = writeText(bytes, 0, key);
  at = writeVarint(bytes, at, value.length);
  bytes.set(value, at);
  at = writeVarint(bytes, at + value.length, headers.length);
  for (const [name, text] of headers) at = writeText(bytes, writeText(bytes, at, name), text);
  return Buffer.from(bytes.subarray(0, at));
}

/** A record batch of version 2 with the records of `encodeRecord`, at least one, in their order. */
export function encodeBatch(encoded: readonly Buffer[], { producerId, producerEpoch, firstSequence, timestampMs }: BatchOrigin): Buffer {
  const plain = joinRecords(encoded);
  const isCompressed = plain.length >= compressedFromBytes;
  const records = isCompressed ? zstdCompressSync(plain) : plain;
  const bytes = Buffer.allocUnsafe(headerBytes + records.length);
  bytes.writeBigInt64BE(0n, 0); // first offset: the leader sets it
  bytes.writeInt32BE(bytes.length - 12, 8); // what follows
  bytes.writeInt32BE(0, 12); // leader epoch: the leader sets it
  bytes.writeInt8(2, 16); // version
  bytes.writeInt16BE(isCompressed ? zstd : 0, 21);
  bytes.writeInt32BE(encoded.length - 1, 23); // last offset, from the first
  bytes.writeBigInt64BE(timestampMs, 27); // of the first record
  bytes.writeBigInt64BE(timestampMs, 35); // of the latest
  bytes.writeBigInt64BE(producerId, 43);
  bytes.writeInt16BE(producerEpoch, 51);
  bytes.writeInt32BE(firstSequence, 53);
  bytes.writeInt32BE(encoded.length, 57);
  bytes.set(records, headerBytes);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

const headerBytes = 61;
/** The number of the algorithm in a batch's attributes. */
const zstd = 4;
const longestVarint = 5;
/** Length, attributes, time and offset. */
const longestPlace = 2 * longestVarint + 2;
/** Texts are written here once instead of being measured first. No record is under way between two calls. */
const workspace = Buffer.allocUnsafeSlow(64 * 1024);

function joinRecords(encoded: readonly Buffer[]): Buffer {
  let longest = 0;
  for (const record of encoded) longest += longestPlace + record.length;
  const bytes = Buffer.allocUnsafe(longest);
  let at = 0;
  for (const [index, record] of encoded.entries()) {
    at = writeVarint(bytes, at, 2 + varintBytes(index) + record.length);
    bytes[at] = 0; // attributes, unused
    bytes[at + 1] = 0; // time, from the batch's
    at = writeVarint(bytes, at + 2, index); // offset, from the first
    bytes.set(record, at);
    at += record.length;
  }
  return bytes.subarray(0, at);
}

/** A UTF-16 unit takes three bytes of UTF-8 at most. */
function longestRecord(key: string, headers: LogRecord['headers'], value: Uint8Array): number {
  let bytes = value.length + 3 * key.length + 3 * longestVarint;
  for (const [name, text] of headers) bytes += 3 * (name.length + text.length) + 2 * longestVarint;
  return bytes;
}

/** Its length in bytes, and the text. Returns where it ends. */
function writeText(bytes: Buffer, at: number, text: string): number {
  const guessed = varintBytes(text.length);
  const length = bytes.write(text, at + guessed);
  const needed = varintBytes(length);
  if (needed > guessed) bytes.copyWithin(at + needed, at + guessed, at + guessed + length);
  return writeVarint(bytes, at, length) + length;
}

/** A number from 0 to 2^30, its sign in the lowest bit. Returns where it ends. */
function writeVarint(bytes: Buffer, at: number, number: number): number {
  let end = at;
  let left = number * 2;
  for (; left > 0x7f; left >>>= 7) bytes[end++] = (left & 0x7f) | 0x80;
  bytes[end] = left;
  return end + 1;
}

function varintBytes(number: number): number {
  let bytes = 1;
  for (let left = number; left > 0x3f; left >>>= 7) bytes += 1;
  return bytes;
}

import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compressionsAlgorithmsByBitmask, crc32c } from '@platformatic/kafka';
import { messageOf } from '../../domain/errors.ts';
import type { StoredRecord } from '../../domain/log-record.ts';
import { RepeatedTexts } from './repeated-texts.ts';

/** A batch that can be read no further: its checksum does not fit, or it is not in the form of Kafka 0.11 and later. */
export interface CorruptBatch {
  readonly partition: number;
  /** The first offset that could not be read. */
  readonly offset: number;
  readonly reason: string;
}

/**
 * The records of one partition in an answer to Fetch, record batches of version 2. Decoded batch by batch, when they
 * are asked for, so that one decompressed batch is in memory at a time. Control batches are stepped over.
 *
 * A corrupt batch ends the reading, so that it can be fetched once more. With `showCorrupt` its offsets come as
 * records without key and headers instead, the first with the batch's bytes as its value, and reading goes on behind.
 */
export class RecordBatches {
  readonly #partition: number;
  readonly #bytes: Buffer;
  readonly #showCorrupt: boolean;
  #at = 0;
  #next: number;
  #batch: OpenBatch | undefined;
  #leaderEpoch = -1;
  #end = 0;
  #corrupt: CorruptBatch | undefined;

  /** @param from records below it are passed over: a batch comes whole */
  constructor(partition: number, bytes: Buffer, from: number, showCorrupt = false) {
    this.#partition = partition;
    this.#bytes = bytes;
    this.#next = from;
    this.#showCorrupt = showCorrupt;
  }

  /** The offset after what was read. */
  get next(): number {
    return this.#next;
  }

  /** The epoch of the leader that wrote the last batch read, -1 when none. */
  get leaderEpoch(): number {
    return this.#leaderEpoch;
  }

  get corrupt(): CorruptBatch | undefined {
    return this.#corrupt;
  }

  /** The offset after the last batch that was looked into. */
  get end(): number {
    return this.#end;
  }

  /** Passes over what lies before the offset, without decoding it. Backwards it does nothing. */
  skipTo(offset: number): void {
    this.#next = Math.max(this.#next, offset);
  }

  /** Adds at most `max` records to the list. Returns false when nothing is left. */
  read(max: number, records: StoredRecord[]): boolean {
    const full = records.length + max;
    while (records.length < full) {
      const batch = (this.#batch ??= this.#open());
      if (!batch) return false;
      this.#readBatch(batch, full, records);
    }
    return this.#batch !== undefined || this.#hasBatch();
  }

  #readBatch(batch: OpenBatch, full: number, records: StoredRecord[]): void {
    try {
      while (records.length < full) {
        const record = batch.record(this.#next);
        if (!record) return this.#finish(batch.bounds.end);
        records.push(record);
        this.#next = record.offset + 1;
      }
    } catch (error) {
      this.#batch = this.#fail(batch.bounds, messageOf(error));
    }
  }

  /** Also a batch without records, or with gaps at its end, moves the position to its end. */
  #finish(end: number): void {
    this.#batch = undefined;
    this.#next = Math.max(this.#next, end);
  }

  /** The next batch with anything at or above the position; undefined at the end, or at a corrupt one. */
  #open(): OpenBatch | undefined {
    while (!this.#corrupt && this.#hasBatch()) {
      const header = readHeader(this.#bytes, this.#at);
      this.#at = header.endAt;
      this.#end = header.end;
      if (header.end <= this.#next) continue;
      const batch = this.#check(header);
      if (batch) return batch;
    }
    return undefined;
  }

  #check(header: BatchHeader): OpenBatch | undefined {
    const problem = problemOf(header, this.#bytes);
    if (problem !== null) return this.#fail(header, problem);
    this.#leaderEpoch = header.leaderEpoch;
    if (!header.control) return new RecordsOfBatch(this.#partition, header, this.#bytes);
    this.#finish(header.end);
    return undefined;
  }

  #fail(bounds: BatchBounds, reason: string): OpenBatch | undefined {
    const offset = Math.max(bounds.base, this.#next);
    this.#next = offset;
    if (this.#showCorrupt) return new UnreadableBatch(this.#partition, bounds, offset, this.#bytes);
    this.#corrupt = { partition: this.#partition, offset, reason };
    return undefined;
  }

  /** An answer may end within a batch; that one is asked for again. */
  #hasBatch(): boolean {
    const left = this.#bytes.length - this.#at;
    return left >= headerBytes && left >= 12 + this.#bytes.readInt32BE(this.#at + 8);
  }
}

const headerBytes = 61;
const longestBatchBytes = 64 * 1024 * 1024;
const lastInstantMs = 8.64e15;

interface BatchBounds {
  /** The first offset. */
  readonly base: number;
  /** The offset after the last one. */
  readonly end: number;
  /** Where the batch begins and ends in the answer. */
  readonly at: number;
  readonly endAt: number;
  /** Of its latest record; of all its records when the log's clock counts. */
  readonly latestMs: number;
}

interface BatchHeader extends BatchBounds {
  readonly magic: number;
  readonly leaderEpoch: number;
  readonly compression: number;
  readonly control: boolean;
  readonly byLogClock: boolean;
  readonly count: number;
  readonly firstMs: number;
}

interface OpenBatch {
  readonly bounds: BatchBounds;
  /** The next record at or above the offset; undefined at the end. Throws when it cannot be read. */
  record(from: number): StoredRecord | undefined;
}

function readHeader(bytes: Buffer, at: number): BatchHeader {
  const base = Number(bytes.readBigInt64BE(at));
  const attributes = bytes.readInt16BE(at + 21);
  const lastDelta = bytes.readInt32BE(at + 23);
  const length = Math.max(bytes.readInt32BE(at + 8), headerBytes - 12);
  // In a corrupt batch these may be anything. At least one offset is taken, so that reading moves on.
  const plausible = lastDelta >= 0 && lastDelta <= length;
  const latestMs = Number(bytes.readBigInt64BE(at + 35));
  return {
    base,
    end: base + (plausible ? lastDelta : 0) + 1,
    at,
    endAt: at + 12 + length,
    latestMs: latestMs >= 0 && latestMs <= lastInstantMs ? latestMs : 0,
    magic: bytes[at + 16] ?? 0,
    leaderEpoch: bytes.readInt32BE(at + 12),
    compression: attributes & 0x07,
    control: (attributes & 0x20) !== 0,
    byLogClock: (attributes & 0x08) !== 0,
    count: bytes.readInt32BE(at + 57),
    firstMs: Number(bytes.readBigInt64BE(at + 27)),
  };
}

function problemOf({ magic, at, endAt }: BatchHeader, bytes: Buffer): string | null {
  if (magic !== 2) return `the batch has version ${magic}, and only version 2 can be read`;
  const checksum = bytes.readUInt32BE(at + 17);
  return crc32c(bytes.subarray(at + 21, endAt)) === checksum ? null : 'its checksum does not fit its bytes';
}

class RecordsOfBatch implements OpenBatch {
  readonly bounds: BatchHeader;
  readonly #partition: number;
  readonly #bytes: Buffer;
  #reader: RecordReader | undefined;
  #left: number;

  constructor(partition: number, header: BatchHeader, bytes: Buffer) {
    this.bounds = header;
    this.#partition = partition;
    this.#bytes = bytes;
    this.#left = header.count;
  }

  record(from: number): StoredRecord | undefined {
    const reader = (this.#reader ??= this.#unpack());
    for (; this.#left > 0; this.#left -= 1) {
      const end = reader.varint() + reader.at;
      reader.at += 1; // attributes, unused
      const writtenMs = this.bounds.firstMs + reader.varlong();
      const offset = this.bounds.base + reader.varint();
      if (offset >= from) return this.#decode(reader, offset, writtenMs, end);
      reader.at = end;
    }
    return undefined;
  }

  #decode(reader: RecordReader, offset: number, writtenMs: number, end: number): StoredRecord {
    this.#left -= 1;
    const key = reader.text();
    const value = reader.bytes() ?? new Uint8Array();
    const headers: [string, string][] = [];
    for (let count = reader.varint(); count > 0; count -= 1) headers.push([reader.text() ?? '', reader.text() ?? '']);
    if (reader.at !== end) throw new Error(`the record at offset ${offset} does not end where it should`);
    const timestampMs = this.bounds.byLogClock ? this.bounds.latestMs : writtenMs;
    return { partition: this.#partition, offset, timestampMs, key, headers, value };
  }

  #unpack(): RecordReader {
    const { compression, at, endAt } = this.bounds;
    return new RecordReader(decompress(compression, this.#bytes.subarray(at + headerBytes, endAt)));
  }
}

/** Stands for a batch that cannot be read: its offsets are there, in their place. */
class UnreadableBatch implements OpenBatch {
  readonly bounds: BatchBounds;
  readonly #partition: number;
  readonly #bytes: Buffer;
  readonly #first: number;
  #offset: number;

  constructor(partition: number, bounds: BatchBounds, from: number, bytes: Buffer) {
    this.bounds = bounds;
    this.#partition = partition;
    this.#bytes = bytes;
    this.#first = from;
    this.#offset = from;
  }

  record(from: number): StoredRecord | undefined {
    const { end, at, endAt, latestMs } = this.bounds;
    const offset = Math.max(this.#offset, from);
    if (offset >= end) return undefined;
    this.#offset = offset + 1;
    const value = offset === this.#first ? this.#bytes.subarray(at, endAt) : new Uint8Array();
    return { partition: this.#partition, offset, timestampMs: latestMs, key: null, headers: [], value };
  }
}

/** Bounded for the two that Node brings; a batch grows by compression beyond every measure only when it means harm. */
function decompress(compression: number, bytes: Buffer): Buffer {
  switch (compression) {
    case 0:
      return bytes;
    case 1:
      return gunzipSync(bytes, { maxOutputLength: longestBatchBytes });
    case 4:
      return zstdDecompressSync(bytes, { maxOutputLength: longestBatchBytes });
    default: {
      const algorithm = compressionsAlgorithmsByBitmask[compression];
      if (!algorithm) throw new Error(`its compression, number ${compression}, is not known here: have its producer write zstd, gzip, lz4, snappy or none`);
      return algorithm.decompressSync(bytes);
    }
  }
}

/** One for all readers of the process: they read the same records. */
const repeatedTexts = new RepeatedTexts();

/** Reads the parts of records, which have lengths of their own before them. */
class RecordReader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** A number of 32 bits with its sign in the lowest. */
  varint(): number {
    const bytes = this.#bytes;
    let byte = this.#byte(bytes);
    let value = byte & 0x7f;
    for (let shift = 7; byte > 0x7f; shift += 7) {
      byte = this.#byte(bytes);
      value |= (byte & 0x7f) << shift;
    }
    return (value >>> 1) ^ -(value & 1);
  }

  /** The same of 64 bits, exact below 2^53. */
  varlong(): number {
    let value = 0;
    let factor = 1;
    for (let byte = 0x80; byte > 0x7f; factor *= 128) {
      byte = this.#byte(this.#bytes);
      value += (byte & 0x7f) * factor;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Null when the length before it is -1. */
  bytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const start = this.at;
    this.#moveTo(start + length);
    return this.#bytes.subarray(start, this.at);
  }

  text(): string | null {
    const length = this.varint();
    if (length < 0) return null;
    const start = this.at;
    this.#moveTo(start + length);
    return repeatedTexts.text(this.#bytes, start, this.at);
  }

  #byte(bytes: Buffer): number {
    const byte = bytes[this.at];
    if (byte === undefined) throw new Error('it ends within a record');
    this.at += 1;
    return byte;
  }

  #moveTo(at: number): void {
    if (at > this.#bytes.length) throw new Error('it ends within a record');
    this.at = at;
  }
}

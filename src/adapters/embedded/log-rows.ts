import type { LogRecord, StoredRecord } from '../../domain/log-record.ts';

/*
 * One row of the log holds the records of one commit, one after the other:
 *
 *   length of the rest, 4 bytes, big-endian | length of the head, 4 bytes | head: JSON [key, headers] | value
 *
 * The head is JSON because it carries every string unchanged and costs one call each way; lengths stand in front,
 * so that a record is found without parsing those before it.
 */

const lengths = 8;

/** The longest that the record can be in a row; cheap, and never too small. */
export function maxRecordBytes(record: LogRecord): number {
  let characters = record.key.length;
  for (const [name, value] of record.headers) characters += name.length + value.length + 6;
  // A UTF-16 unit takes at most six bytes: as the escape of a control character or a lone surrogate.
  return lengths + 8 + characters * 6 + record.value.length;
}

/** Collects the records of one commit in a buffer that is used again for every commit. */
export class LogRowBuilder {
  #buffer: Buffer;
  #used = 0;

  constructor(bytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  clear(): void {
    this.#used = 0;
  }

  add(record: LogRecord): void {
    this.#makeRoom(maxRecordBytes(record));
    const start = this.#used;
    const headLength = this.#buffer.write(JSON.stringify([record.key, record.headers]), start + lengths);
    this.#buffer.set(record.value, start + lengths + headLength);
    this.#used = start + lengths + headLength + record.value.length;
    this.#buffer.writeUInt32BE(this.#used - start - 4, start);
    this.#buffer.writeUInt32BE(headLength, start + 4);
  }

  /** The row so far; valid until the next `clear` or `add`. */
  data(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#used + bytes));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }
}

/** One record on its own, for those that keep it elsewhere. */
export function encodeRecord(record: LogRecord): Buffer {
  const builder = new LogRowBuilder(maxRecordBytes(record));
  builder.add(record);
  return builder.data();
}

export interface LogRow {
  readonly first: number;
  readonly n: number;
  readonly timestamp: number;
  readonly data: Uint8Array;
}

/**
 * The records of a row, always `n` of them: offsets are addresses, so a part that cannot be read still takes its
 * place. Such a record has no key and no headers, and what is left of the row as its value; readers show it as
 * unreadable instead of stepping over it.
 */
export function decodeRow(row: LogRow): StoredRecord[] {
  const data = Buffer.from(row.data.buffer, row.data.byteOffset, row.data.byteLength);
  const records: StoredRecord[] = [];
  let at = 0;
  for (let index = 0; index < row.n; index += 1) {
    const address = { partition: 0, offset: row.first + index, timestampMs: row.timestamp };
    const end = at + 4 + (at + lengths <= data.length ? data.readUInt32BE(at) : data.length);
    const whole = end <= data.length ? data.subarray(at, end) : data.subarray(at);
    records.push({ ...address, ...(decodeRecord(whole) ?? { key: null, headers: [], value: whole }) });
    at = Math.min(end, data.length);
  }
  return records;
}

/** The record that `encodeRecord` wrote, or null when the bytes are not one. */
export function decodeRecord(bytes: Uint8Array): LogRecord | null {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.length < lengths || data.readUInt32BE(0) !== data.length - 4) return null;
  const headEnd = lengths + data.readUInt32BE(4);
  if (headEnd > data.length) return null;
  const head = parseHead(data.toString('utf8', lengths, headEnd));
  // A copy, so that one kept record does not keep the whole row in memory.
  return head && { key: head[0], headers: head[1], value: new Uint8Array(data.subarray(headEnd)) };
}

function parseHead(text: string): [key: string, headers: LogRecord['headers']] | null {
  let head: unknown;
  try {
    head = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(head) || head.length !== 2 || typeof head[0] !== 'string' || !Array.isArray(head[1])) return null;
  return head[1].every(isHeader) ? [head[0], head[1]] : null;
}

function isHeader(header: unknown): header is [name: string, value: string] {
  return Array.isArray(header) && header.length === 2 && typeof header[0] === 'string' && typeof header[1] === 'string';
}

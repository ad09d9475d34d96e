import { instantText } from '../../domain/instant.ts';
import type { Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import { invalidParameter } from '../query-problem.ts';

/** A record of the log as it is; key and value in base64, because foreign writers may have left any bytes. */
export interface RawRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** When the log stored it, RFC 3339. */
  readonly timestamp: string;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
}

/** An answer holds no more than about this many bytes of values. */
const mostBytes = 4 * 1024 * 1024;
const recordsPerRead = 100;

/**
 * Up to `limit` records from `offset` on, fewer when they are large.
 * @returns with `next`, the offset to go on from, null at the end of the log
 * @throws QueryProblem 400 for a partition that the log does not have
 */
export async function readLogPage(
  reader: EventReader,
  { partition, offset, limit }: { readonly partition: number; readonly offset: number; readonly limit: number },
): Promise<{ readonly items: RawRecord[]; readonly next: number | null }> {
  const end = await reader.endPositions();
  const endOffset = end.get(partition);
  if (endOffset === undefined) throw invalidParameter('partition', `must be one of ${[...end.keys()].join(', ')}`);
  if (offset >= endOffset) return { items: [], next: null };
  const records = await readRange(reader, new Map(end).set(partition, offset), partition, endOffset, limit);
  const next = (records.at(-1)?.offset ?? endOffset) + 1;
  return { items: records.map((record) => rawRecord(reader.topic, record)), next: next < endOffset ? next : null };
}

/** The other partitions start at their end, so that nothing of them is read. */
async function readRange(reader: EventReader, start: Positions, partition: number, endOffset: number, limit: number): Promise<StoredRecord[]> {
  const cursor = reader.openCursor(start);
  const found: StoredRecord[] = [];
  let bytes = 0;
  try {
    while (found.length < limit && bytes < mostBytes && (cursor.positions().get(partition) ?? endOffset) < endOffset) {
      const records = await cursor.next({ maxRecords: Math.min(recordsPerRead, limit - found.length), waitMs: 1_000 });
      const wanted = records.filter((record) => record.partition === partition && record.offset < endOffset);
      if (wanted.length === 0) break;
      found.push(...wanted);
      bytes += wanted.reduce((sum, { value }) => sum + value.byteLength, 0);
    }
  } finally {
    cursor.close();
  }
  return found;
}

function rawRecord(topic: string, { partition, offset, timestampMs, key, headers, value }: StoredRecord): RawRecord {
  return {
    topic,
    partition,
    offset,
    timestamp: instantText(timestampMs),
    key: key === null ? null : Buffer.from(key).toString('base64'),
    headers: Object.fromEntries(headers),
    value: Buffer.from(value).toString('base64'),
  };
}

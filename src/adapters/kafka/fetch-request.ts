import { fetchV17, type Connection, type Reader } from '@platformatic/kafka';

export interface FetchRequest {
  readonly topicId: string;
  /** How long the broker may wait for the first record. */
  readonly maxWaitMs: number;
  /** Of the answer; a first batch that is larger comes whole. */
  readonly maxBytes: number;
  /** Served in this order until `maxBytes` are full. */
  readonly partitions: readonly FetchedPosition[];
}

export interface FetchedPosition {
  readonly partition: number;
  readonly offset: number;
  /** Of the leader, as its metadata says: one that was deposed then refuses. */
  readonly leaderEpoch: number;
  /** Of the last batch that was read, -1 when none: a log that was cut off behind it then says so. */
  readonly lastEpoch: number;
  readonly maxBytes: number;
}

export interface FetchedPartition {
  readonly partition: number;
  readonly errorCode: number;
  /** The offset after the last record that may be read; -1 with an error. */
  readonly end: number;
  /** The leader's log parts from what was read before: records that were read are gone. */
  readonly diverging: boolean;
  /** Batches as the log holds them; null when there is nothing. */
  readonly records: Buffer | null;
}

export interface FetchAnswer {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/**
 * One Fetch request, without a session. The records stay encoded: the library's own parser checks no checksum, and
 * lets the error of one partition fail all of them.
 */
export function fetchPartitions(connection: Connection, { topicId, maxWaitMs, maxBytes, partitions }: FetchRequest): Promise<FetchAnswer> {
  const positions = partitions.map(({ partition, offset, leaderEpoch, lastEpoch, maxBytes: ofPartition }) => ({
    partition,
    currentLeaderEpoch: leaderEpoch,
    fetchOffset: BigInt(offset),
    lastFetchedEpoch: lastEpoch,
    partitionMaxBytes: ofPartition,
  }));
  // Isolation 0: nobody writes transactions here, and an open one of a stranger must not stop every reader.
  const create = () => fetchV17.createRequest(maxWaitMs, 1, maxBytes, 0, 0, -1, [{ topicId, partitions: positions }], [], '');
  return new Promise((resolve, reject) => {
    connection.send(fetchV17.api.key, fetchV17.api.version, create, parseAnswer, true, true, (error, answer?: FetchAnswer) => {
      if (answer && !error) resolve(answer);
      else reject(error ?? new Error('the broker answered nothing'));
    });
  });
}

function parseAnswer(_correlationId: number, _apiKey: number, _apiVersion: number, reader: Reader): FetchAnswer {
  reader.readInt32(); // throttle time
  const errorCode = reader.readInt16();
  reader.readInt32(); // session
  const partitions: FetchedPartition[] = [];
  reader.readArray((topic) => {
    topic.readUUID();
    topic.readArray((each) => void partitions.push(parsePartition(each)), true, false);
  });
  return { errorCode, partitions };
}

function parsePartition(reader: Reader): FetchedPartition {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  const end = Number(reader.readInt64()); // high watermark
  reader.readInt64(); // last stable offset
  reader.readInt64(); // log start
  reader.readNullableArray((aborted) => [aborted.readInt64(), aborted.readInt64()]);
  reader.readInt32(); // preferred replica
  const records = parseRecords(reader);
  return { partition, errorCode, end, records, diverging: parseTags(reader) };
}

function parseRecords(reader: Reader): Buffer | null {
  // Compact form: the length plus one, 0 for null.
  const length = reader.readUnsignedVarInt() - 1;
  if (length <= 0) return null;
  const records = reader.buffer.slice(reader.position, reader.position + length);
  reader.skip(length);
  return records;
}

/** Whether there is the tag of a diverging epoch, number 0. */
function parseTags(reader: Reader): boolean {
  let diverging = false;
  for (let left = reader.readUnsignedVarInt(); left > 0; left -= 1) {
    const tag = reader.readUnsignedVarInt();
    const size = reader.readUnsignedVarInt();
    reader.skip(size);
    if (tag === 0) diverging = true;
  }
  return diverging;
}

import { produceV11, Writer, type Callback, type Connection } from '@platformatic/kafka';
import { encodeBatch, type BatchOrigin } from './record-encoder.ts';

/** The version in which records are sent. Kafka has it from 3.8 on; reading needs 3.9. */
export const produceVersion = produceV11.api.version;

/** One record as the library's producer hands it on; the same object when it tries again. */
export interface UnsentRecord {
  readonly topic: string;
  readonly partition: number;
  /** As `encodeRecord` gives it. */
  readonly value: Buffer;
  timestamp: bigint | undefined;
}

/** What the library's producer decided for the batches of a send. */
export interface ProduceOptions extends Pick<BatchOrigin, 'producerId' | 'producerEpoch'> {
  /** For each `topic:partition` the number of the first record in it. */
  readonly sequences: ReadonlyMap<string, number>;
}

export type ProduceAnswer = produceV11.ProduceResponse;

/**
 * One Produce request with a batch for each partition, in place of the library's own, which encodes records through
 * many small buffers. Takes the arguments with which the library calls its own.
 *
 * @param records of one topic, at least one; those of a partition stay in their order
 */
export function produceRecords(connection: Connection, acks: number, timeoutMs: number, records: readonly UnsentRecord[], options: ProduceOptions, done: Callback<ProduceAnswer>): void {
  const create = () => createProduceRequest(acks, timeoutMs, records, options);
  connection.send(produceV11.api.key, produceVersion, create, produceV11.parseResponse, true, true, done);
}

/** What `produceRecords` sends. */
export function createProduceRequest(acks: number, timeoutMs: number, records: readonly UnsentRecord[], { sequences, ...producer }: ProduceOptions): Writer {
  const topic = records[0]?.topic ?? '';
  const timestampMs = keepTime(records);
  const writer = Writer.create().appendString(null).appendInt16(acks).appendInt32(timeoutMs);
  writer.appendArray([topic], () => {
    writer.appendString(topic).appendArray([...byPartition(records)], (_, [partition, encoded]) => {
      const firstSequence = sequences.get(`${topic}:${partition}`) ?? 0;
      const batch = encodeBatch(encoded, { ...producer, firstSequence, timestampMs });
      writer.appendInt32(partition).appendUnsignedVarInt(batch.length + 1).append(batch);
    });
  });
  return writer.appendTaggedFields();
}

/** The time of the first try, so that a batch that is sent again is the same one, byte for byte. */
function keepTime(records: readonly UnsentRecord[]): bigint {
  const [first] = records;
  const timestampMs = first?.timestamp ?? BigInt(Date.now());
  if (first) first.timestamp = timestampMs;
  return timestampMs;
}

function byPartition(records: readonly UnsentRecord[]): Map<number, Buffer[]> {
  const batches = new Map<number, Buffer[]>();
  for (const { partition, value } of records) {
    const encoded = batches.get(partition);
    if (encoded) encoded.push(value);
    else batches.set(partition, [value]);
  }
  return batches;
}

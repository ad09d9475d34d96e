import { openEmbeddedLogReader, type EmbeddedLogReader } from '../adapters/embedded/embedded-log-reader.ts';
import { KafkaEventReader } from '../adapters/kafka/kafka-event-reader.ts';
import { readLogPage, type RawRecord } from '../diary/queries/log-page.ts';
import type { Config } from './config.ts';
import { kafkaConnectionOf } from './wiring/kafka-connection-of.ts';

export interface LogRange {
  /** Null: all. */
  readonly partition: number | null;
  /** The first of each partition. */
  readonly offset: number;
  /** Of all partitions together. Null: up to the end as of the start. */
  readonly limit: number | null;
}

const pageSize = 1_000;

/**
 * Reads the log itself, read-only, beside a running writer, in the form of `GET /v1/log`. Ends at the end as of the
 * start.
 * @throws DaybookError `log-unavailable`: there is no readable log in the data folder, or Kafka does not answer
 */
export async function* readLog(config: Config, { partition, offset, limit }: LogRange): AsyncGenerator<RawRecord> {
  const reader = openReader(config);
  try {
    let left = limit ?? Infinity;
    for (const [candidate, end] of await reader.endPositions()) {
      if (partition !== null && partition !== candidate) continue;
      for (let next: number | null = offset; next !== null && next < end && left > 0; ) {
        const page = await readLogPage(reader, { partition: candidate, offset: next, limit: Math.min(pageSize, left, end - next) });
        yield* page.items;
        left -= page.items.length;
        next = page.next;
      }
    }
  } finally {
    await reader.close();
  }
}

function openReader(config: Config): EmbeddedLogReader | KafkaEventReader {
  if (config.kafkaBrokers === null) return openEmbeddedLogReader(config.dataDir, { topic: config.topic });
  return new KafkaEventReader({ connection: kafkaConnectionOf(config), topic: config.topic });
}

import { createHash } from 'node:crypto';
import type { Client } from '../../client/create-client.ts';

/** What the demo wants to know of the log, read record by record as any outsider could. */
export interface LogSummary {
  readonly records: number;
  /** SHA-256 of each record's value, in lower-case hex, by `partition/offset`. */
  readonly digests: ReadonlyMap<string, string>;
}

const pageSize = 1_000;

/** Reads every partition from its first record to its end. */
export async function readLog(client: Client): Promise<LogSummary> {
  const digests = new Map<string, string>();
  const { asOf } = await client.log({ partition: 0, offset: 0, limit: 1 });
  for (const partition of Object.keys(asOf.positions)) await readPartition(client, Number(partition), digests);
  return { records: digests.size, digests };
}

async function readPartition(client: Client, partition: number, digests: Map<string, string>): Promise<void> {
  for (let offset = 0; ; ) {
    const { items } = await client.log({ partition, offset, limit: pageSize });
    for (const { offset: at, value } of items) {
      digests.set(`${partition}/${at}`, createHash('sha256').update(Buffer.from(value, 'base64')).digest('hex'));
    }
    const last = items.at(-1);
    if (last === undefined) return;
    offset = last.offset + 1;
  }
}

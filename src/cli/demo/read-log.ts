import { createHash } from 'node:crypto';
import type { Client } from '../../client/create-client.ts';

/** What the demo wants to know of the log, read record by record as any outsider could. */
export interface LogSummary {
  readonly records: number;
  /** SHA-256 of each record's value, in lower-case hex, by `partition/offset`. */
  readonly digests: ReadonlyMap<string, string>;
}

const pageSize = 1_000;

/** Reads partition 0, the only one of the embedded log, from its first record to its end. */
export async function readLog(client: Client): Promise<LogSummary> {
  const digests = new Map<string, string>();
  for (let offset = 0; ; ) {
    const { items } = await client.log({ partition: 0, offset, limit: pageSize });
    for (const { partition, offset: at, value } of items) {
      digests.set(`${partition}/${at}`, createHash('sha256').update(Buffer.from(value, 'base64')).digest('hex'));
    }
    const last = items.at(-1);
    if (last === undefined) return { records: digests.size, digests };
    offset = last.offset + 1;
  }
}

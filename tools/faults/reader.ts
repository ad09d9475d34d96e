// A process of `make faults`: follows the log by the product's reader from the beginning, and notes what it is given.
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { KafkaEventReader } from '../../src/adapters/kafka/kafka-event-reader.ts';
import { hasCode } from '../../src/domain/errors.ts';
import type { StoredRecord } from '../../src/domain/log-record.ts';
import { sha256Of, type LogLine } from './log-line.ts';

const { brokers, topic, file } = JSON.parse(process.argv[2] ?? '') as { readonly brokers: readonly string[]; readonly topic: string; readonly file: string };

/** Comes when all is written: for each partition the offset after its last record. */
let ends: readonly (readonly [partition: number, end: number])[] | undefined;
const progress = { read: 0, failures: 0 };
const reader = new KafkaEventReader({ connection: { brokers, clientId: 'faults-reader' }, topic });
const cursor = reader.openCursor(new Map());
const output = openSync(file, 'w');
const reports = setInterval(() => process.send?.(progress), 200);
process.once('disconnect', abandoned);
process.once('message', (message) => {
  ends = message as typeof ends;
  cursor.wake();
});

while (!isAtEnd()) {
  const records = await next();
  progress.read += records.length;
  if (records.length > 0) appendFileSync(output, records.map((record) => `${JSON.stringify(lineOf(record))}\n`).join(''));
}
clearInterval(reports);
closeSync(output);
await reader.close();
process.off('disconnect', abandoned);
process.disconnect?.();

/** The run was broken off. */
function abandoned(): void {
  process.exit(1);
}

/** A log that is away is what the faults are made of; every other failure ends this process, and with it the case. */
async function next(): Promise<readonly StoredRecord[]> {
  try {
    return await cursor.next({ maxRecords: 2_000, waitMs: 500 });
  } catch (error) {
    if (!hasCode(error, 'log-unavailable')) throw error;
    progress.failures += 1;
    return [];
  }
}

function isAtEnd(): boolean {
  const positions = cursor.positions();
  return ends?.every(([partition, end]) => (positions.get(partition) ?? 0) >= end) ?? false;
}

function lineOf({ partition, offset, key, headers, value }: StoredRecord): LogLine {
  return { partition, offset, key: key ?? '', headers: headers.map(([name, text]) => `${name}=${text}`).join(','), sha256: sha256Of(value) };
}

import { createHash } from 'node:crypto';
import type { Evidence, HeldReceipt, RecordedEvent } from './evidence.ts';

/** G1: what a receipt promises stands in the log, at its address, byte for byte. */
export function acceptedMeansRecorded({ records, receipts }: Evidence): string[] {
  const byOffset = new Map(records.map((record) => [`${record.partition}/${record.offset}`, record]));
  return receipts.flatMap((held) => {
    const { partition, offset } = held.receipt;
    const record = byOffset.get(`${partition}/${offset}`);
    if (!record) return [`the receipt of ${held.id} names ${partition}/${offset}, where the log has nothing`];
    return differences(held, record).map((what) => `the receipt of ${held.id} names ${partition}/${offset}, where ${what}`);
  });
}

function differences({ id, receipt }: HeldReceipt, { type, id: eventId, key, time, value }: RecordedEvent): string[] {
  const digest = createHash('sha256').update(value).digest('hex');
  const compared: ReadonlyArray<readonly [name: string, promised: string, found: string | null]> = [
    ['the event', 'TaskAccepted', type],
    ['the task', id, key],
    ['the event id', receipt.eventId, eventId],
    ['the SHA-256 of the value', receipt.sha256, digest],
    ['the time', receipt.acceptedAt, time],
  ];
  return compared.filter(([, promised, found]) => promised !== found).map(([name, promised, found]) => `${name} is ${String(found)}, not ${promised}`);
}

import type { LogRecord, StoredRecord } from '../../src/domain/log-record.ts';
import { t0 } from './task-history.ts';

/** Records as a log of one partition gives them back, from `firstOffset` on, stored a millisecond apart. */
export function storedRecords(records: readonly LogRecord[], firstOffset = 0): StoredRecord[] {
  return records.map((record, index) => ({ ...record, partition: 0, offset: firstOffset + index, timestampMs: t0 + firstOffset + index }));
}

/** A task id that tells its number. */
export function taskId(number: number): string {
  return `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
}

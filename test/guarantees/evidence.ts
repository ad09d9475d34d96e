import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { openEmbeddedLogReader } from '../../src/adapters/embedded/embedded-log-reader.ts';

/**
 * What a run leaves behind, as outsiders see it: the log, the receipts that clients hold, the queue's table, and what
 * the handlers wrote down themselves. The checkers read this and nothing else; they share no code with the system.
 */
export interface Evidence {
  /** The whole log, by offset. */
  readonly records: readonly RecordedEvent[];
  /** One for each 202. */
  readonly receipts: readonly HeldReceipt[];
  /** What handlers did, by their own account; null where the run has handlers that keep none. */
  readonly effects: readonly Effect[] | null;
  /** Jobs that are still in the queue. */
  readonly jobs: readonly LeftJob[];
  /** Messages that were put aside because they were no jobs. */
  readonly parkedJobs: number;
  /** Claims that an execution holds and that have no outcome. */
  readonly heldClaims: ReadonlyArray<{ readonly taskId: string; readonly attempt: number }>;
}

export interface RecordedEvent {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly value: Uint8Array;
  /** `ce_type`, `ce_id` and `ce_time`; empty where the header is missing. */
  readonly type: string;
  readonly id: string;
  readonly time: string;
  /** The value as JSON; empty when it is no object. */
  readonly data: EventData;
}

/** Members that the checkers look at. Which event has which stands in interface.md; `undefined` is compared like any other value. */
export interface EventData {
  readonly [member: string]: unknown;
  readonly taskId?: string;
  readonly attempt?: number;
  readonly attempts?: number;
  readonly issue?: number;
  readonly queue?: string;
  readonly executionId?: string;
  readonly workerId?: string;
  readonly reason?: string;
  readonly cause?: string;
  readonly sequence?: number;
  readonly requestId?: string;
  readonly dueAt?: string;
}

export interface HeldReceipt {
  readonly id: string;
  readonly receipt: {
    readonly eventId: string;
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly sha256: string;
    readonly acceptedAt: string;
  };
}

/** One run of a handler, written before it returned. */
export interface Effect {
  readonly taskId: string;
  readonly attempt: number;
  /** Of the process that ran it. */
  readonly pid: number;
}

export interface LeftJob {
  readonly taskId: string;
  readonly attempt: number;
  readonly issue: number;
}

export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly value: Uint8Array;
}

/** Reads a data folder, beside its writer or after it: log, queue and claims. */
export async function readEvidence(
  folder: string,
  { receipts = [], effects = null }: { readonly receipts?: readonly HeldReceipt[]; readonly effects?: readonly Effect[] | null } = {},
): Promise<Evidence> {
  return { records: await readRecords(folder), receipts, effects, ...readQueue(folder) };
}

/** @param from the first offset */
export async function readRecords(folder: string, from = 0): Promise<RecordedEvent[]> {
  const reader = openEmbeddedLogReader(folder);
  const cursor = reader.openCursor(new Map([[0, from]]));
  const records: RecordedEvent[] = [];
  try {
    const end = (await reader.endPositions()).get(0) ?? 0;
    while (from + records.length < end) {
      const batch = await cursor.next({ maxRecords: end - from - records.length, waitMs: 1_000 });
      for (const record of batch) records.push(recordedEvent(record));
      if (batch.length === 0) throw new Error(`the log ends at ${end}, and has nothing to read at ${from + records.length}`);
    }
  } finally {
    cursor.close();
    reader.close();
  }
  return records;
}

/** The jobs and claims of a data folder. */
export function readQueue(folder: string): Pick<Evidence, 'jobs' | 'parkedJobs' | 'heldClaims'> {
  const database = new DatabaseSync(join(folder, 'log.db'), { readOnly: true, timeout: 5_000 });
  try {
    const jobs = database.prepare('SELECT task_id AS taskId, attempt, issue FROM jobs').all() as unknown as LeftJob[];
    const parkedJobs = Number(database.prepare('SELECT count(*) AS parked FROM parked_jobs').get()?.['parked']);
    const claims = database.prepare('SELECT task_id AS taskId, attempt FROM claims WHERE execution_id IS NOT NULL AND event_id IS NULL');
    return { jobs, parkedJobs, heldClaims: claims.all() as unknown as Evidence['heldClaims'] };
  } finally {
    database.close();
  }
}

export function recordedEvent({ partition, offset, key, headers, value }: RawRecord): RecordedEvent {
  const header = (name: string) => headers.find(([candidate]) => candidate === name)?.[1] ?? '';
  return { partition, offset, key, headers, value, type: header('ce_type'), id: header('ce_id'), time: header('ce_time'), data: dataOf(value) };
}

function dataOf(value: Uint8Array): EventData {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as EventData) : {};
  } catch {
    return {};
  }
}

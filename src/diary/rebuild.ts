import { DaybookError } from '../domain/errors.ts';
import type { Positions, StoredRecord } from '../domain/log-record.ts';
import { sleep, type Clock } from '../ports/clock.ts';
import type { EventReader } from '../ports/event-reader.ts';
import type { GenerationSummary, ProjectionStore } from '../ports/projection-store.ts';
import { prepareBatch } from './fold-batch.ts';

const recordsPerBatch = 5_000;
const readWaitMs = 1_000;
/** Rounds of catching up beside the live rows before the last one, which holds them. */
const roundsBeside = 20;
/** How often another owner of the same tables may get in between before the rebuild gives up. */
const swapAttempts = 10;

export interface RebuildTools {
  readonly reader: EventReader;
  readonly store: ProjectionStore;
  readonly clock: Clock;
  /** Runs `work` while no batch is applied to the live rows. */
  readonly exclusively: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly signal: AbortSignal;
}

export interface RebuildResult {
  /** Null when there were no rows to compare with. */
  readonly before: GenerationSummary | null;
  readonly after: GenerationSummary;
  /** Records read. */
  readonly events: number;
}

/**
 * Derives every row again from the beginning of the log, beside the live ones; compares the two at the same position,
 * and puts the new ones in their place. Reads the log and writes rows, and nothing else anywhere.
 *
 * The live rows go on being read, and advanced except in the last step: it takes as long as reading every row twice.
 * A crash before the swap leaves the live rows as they were; what was rebuilt is thrown away by the next rebuild.
 *
 * @throws DaybookError as the ports throw, `stopped` when the signal aborts, `history-lost` when the live rows belong
 *   to another log
 */
export async function rebuildTasks(tools: RebuildTools): Promise<RebuildResult> {
  const { reader, store, exclusively } = tools;
  const identity = await reader.identity();
  await store.positions('live', identity);
  await store.startRebuild(identity);
  let events = 0;
  const catchUp = async () => {
    const added = await foldToTarget(tools, identity);
    events += added;
    return added;
  };
  for (let round = 0; round < roundsBeside && (await catchUp()) > recordsPerBatch; round++);
  for (let attempt = 0; attempt < swapAttempts; attempt++) {
    const swapped = await exclusively(async () => {
      await catchUp();
      const { live, rebuild } = await store.summaries(['live', 'rebuild']);
      if (!rebuild) throw new DaybookError('projection-rebuilding', 'the rows of the rebuild were dropped while it ran');
      return (await store.swap(rebuild.positions)) ? { before: live, after: rebuild } : null;
    });
    if (swapped) return { ...swapped, events };
  }
  throw new DaybookError('projection-unavailable', 'another process kept advancing the live rows: run the rebuild again when there is less load');
}

/** Brings the rebuilt rows to where the live ones stand, or to the end of the log when there are none. Returns how many records that took. */
async function foldToTarget({ reader, store, clock, signal }: RebuildTools, identity: string): Promise<number> {
  const target = (await store.positions('live', identity)) ?? (await reader.endPositions());
  let positions = await rebuiltPositions(store, identity);
  let events = 0;
  const cursor = reader.openCursor(positions);
  const wake = () => cursor.wake();
  signal.addEventListener('abort', wake);
  try {
    while (!hasReached(positions, target)) {
      if (signal.aborted) throw new DaybookError('stopped', 'the rebuild was stopped; the live rows are as before');
      const read = await cursor.next({ maxRecords: recordsPerBatch, waitMs: readWaitMs });
      const records = read.filter((record) => isBefore(record, target));
      if (records.length === 0) continue;
      const { taskIds, quarantined, next, lastEventMs, change } = prepareBatch(positions, records);
      const batch = { generation: 'rebuild', expected: positions, next, lastEventMs, taskIds, change, quarantined } as const;
      if (!(await store.applyBatch(batch))) throw new DaybookError('projection-unavailable', 'another rebuild runs on the same tables');
      positions = next;
      events += records.length;
      await turnForOthers(clock);
    }
  } finally {
    signal.removeEventListener('abort', wake);
    cursor.close();
  }
  return events;
}

/** A store in this thread and a log at hand never wait for anything: without this, timers and messages would starve. */
export function turnForOthers(clock: Clock): Promise<void> {
  return sleep(clock, 0);
}

async function rebuiltPositions(store: ProjectionStore, identity: string): Promise<Positions> {
  const positions = await store.positions('rebuild', identity);
  if (!positions) throw new DaybookError('projection-rebuilding', 'the rows of the rebuild were dropped while it ran');
  return positions;
}

function hasReached(positions: Positions, target: Positions): boolean {
  return [...target].every(([partition, offset]) => (positions.get(partition) ?? 0) >= offset);
}

function isBefore(record: StoredRecord, target: Positions): boolean {
  return record.offset < (target.get(record.partition) ?? 0);
}

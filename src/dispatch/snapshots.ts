import { DaybookError, hasCode } from '../domain/errors.ts';
import type { Positions } from '../domain/log-record.ts';
import { sleep, type Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Snapshot, SnapshotStore } from '../ports/snapshot-store.ts';
import type { OpenTasks, PartitionFold } from './open-tasks.ts';
import { decodeFold, encodeFold } from './snapshot-body.ts';

export interface SnapshotSettings {
  /** A partition with new records is written this long after it was written last. Default 60,000. */
  readonly everyMs: number;
  /** And as soon as so many records were folded since. Default 100,000. */
  readonly everyRecords: number;
}

export const defaultSnapshotSettings: SnapshotSettings = { everyMs: 60_000, everyRecords: 100_000 };

export interface SnapshotParts {
  /** Null: nothing is kept, and every takeover folds the log from its beginning. */
  readonly store: SnapshotStore | null;
  readonly tasks: OpenTasks;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: SnapshotSettings;
  /** Called when a write has ended: another partition may be waiting for its turn. */
  readonly onWritten: () => void;
}

/** When a partition was restored or written last, and where it stood then. */
interface Mark {
  readonly position: number;
  readonly atMs: number;
  /** The last write failed: none is begun before this time. */
  readonly notBeforeMs: number;
}

/**
 * Writes what the dispatcher has folded of its partitions, so that the next takeover reads the log from there, and
 * restores it.
 *
 * A snapshot is cut between two batches, in a few milliseconds, and written while the next ones are folded: one at a
 * time. One that could not be written is tried again an interval later; what it costs is a longer catch-up.
 */
export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #marks = new Map<number, Mark>();
  #logIdentity: string | null = null;
  #writing: Promise<void> | null = null;
  #historyLost: DaybookError | null = null;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  /** The store was out of reach at the takeover, and now has snapshots of another log. Nothing may be acted on. */
  get historyLost(): DaybookError | null {
    return this.#historyLost;
  }

  /**
   * Restores partitions, and returns the positions to read them from. Of those without a usable snapshot nothing is
   * known, and they are to be read from the beginning.
   * @param end the log's end now
   * @throws DaybookError `history-lost`: a snapshot is of another log, or beyond the end of this one; nothing changed
   */
  async restore(partitions: readonly number[], logIdentity: string, end: Positions): Promise<Positions> {
    const { store, tasks, clock } = this.#parts;
    this.#logIdentity = logIdentity;
    const loaded = await Promise.all(partitions.map(async (partition) => store?.load(partition, logIdentity) ?? null));
    for (const snapshot of loaded) if (snapshot) assertWithin(snapshot, end.get(snapshot.partition) ?? 0);
    const positions = new Map<number, number>();
    for (const [index, partition] of partitions.entries()) {
      const snapshot = loaded[index];
      const fold = snapshot ? await this.#decoded(snapshot) : null;
      if (snapshot && fold) {
        tasks.restore(partition, fold);
        positions.set(partition, snapshot.position);
      }
      this.#marks.set(partition, { position: positions.get(partition) ?? 0, atMs: clock.monotonicMs(), notBeforeMs: 0 });
    }
    return positions;
  }

  forget(partition: number): void {
    this.#marks.delete(partition);
  }

  /**
   * Begins to write the partition that has waited longest, if one is due and none is being written.
   * @param positions as of now: between two batches
   * @param excepted partitions that are not read up to the live edge
   */
  writeDue(positions: Positions, excepted: ReadonlyMap<number, unknown>): void {
    const due = this.#waiting(positions, excepted).filter(({ dueInMs }) => dueInMs === 0);
    const [{ partition } = { partition: null }] = due.sort((one, other) => one.atMs - other.atMs);
    if (partition === null) return;
    this.#writing = this.#write(partition, positions.get(partition) ?? 0).then(() => {
      this.#writing = null;
      this.#parts.onWritten();
    });
  }

  /** How long until a partition is due; null while none is, or one is being written. */
  nextDueInMs(positions: Positions, excepted: ReadonlyMap<number, unknown>): number | null {
    const waiting = this.#waiting(positions, excepted);
    return waiting.length === 0 ? null : Math.min(...waiting.map(({ dueInMs }) => dueInMs));
  }

  /** For an orderly stop: writes every partition that has moved, one after the other. */
  async writeAll(positions: Positions, excepted: ReadonlyMap<number, unknown>): Promise<void> {
    await this.#writing;
    if (!this.#parts.store) return;
    for (const [partition, { position }] of [...this.#marks]) {
      const reached = positions.get(partition) ?? 0;
      if (!excepted.has(partition) && reached > position) await this.#write(partition, reached);
    }
  }

  /** Lets everybody else work for a moment. */
  readonly #turn = (): Promise<void> => sleep(this.#parts.clock, 0);

  /** Partitions with records that no snapshot covers; none while one is being written. */
  #waiting(positions: Positions, excepted: ReadonlyMap<number, unknown>): Array<{ readonly partition: number; readonly atMs: number; readonly dueInMs: number }> {
    const { store, settings, clock } = this.#parts;
    if (!store || this.#writing) return [];
    const nowMs = clock.monotonicMs();
    return [...this.#marks].flatMap(([partition, { position, atMs, notBeforeMs }]) => {
      const records = (positions.get(partition) ?? 0) - position;
      if (records <= 0 || excepted.has(partition)) return [];
      const dueMs = Math.max(notBeforeMs, records >= settings.everyRecords ? 0 : atMs + settings.everyMs);
      return [{ partition, atMs, dueInMs: Math.max(0, dueMs - nowMs) }];
    });
  }

  async #write(partition: number, position: number): Promise<void> {
    const { store, tasks, clock, logger, settings } = this.#parts;
    const startedMs = clock.monotonicMs();
    // Nothing may come between the position and the cut that belongs to it.
    const cut = tasks.cut(partition);
    const former = this.#marks.get(partition);
    this.#marks.set(partition, { position, atMs: startedMs, notBeforeMs: 0 });
    try {
      const body = await encodeFold(cut, this.#turn);
      await store!.save({ partition, logIdentity: this.#logIdentity ?? '', position, body });
      logger.debug({ partition, position, bytes: body.length, tookMs: Math.round(clock.monotonicMs() - startedMs) }, 'snapshot is written');
    } catch (error) {
      if (former && this.#marks.has(partition)) this.#marks.set(partition, { ...former, notBeforeMs: startedMs + settings.everyMs });
      if (hasCode(error, 'history-lost')) this.#historyLost = error;
      logger.warn({ partition, position, error }, 'the snapshot could not be written; it is tried again');
    }
  }

  async #decoded(snapshot: Snapshot): Promise<PartitionFold | null> {
    try {
      return await decodeFold(snapshot.body, this.#turn);
    } catch (error) {
      this.#parts.logger.warn({ partition: snapshot.partition, error }, 'the snapshot cannot be understood; the partition is folded from its beginning');
      return null;
    }
  }
}

function assertWithin({ partition, position, logIdentity }: Snapshot, end: number): void {
  if (position <= end) return;
  throw new DaybookError(
    'history-lost',
    `the snapshot of partition ${partition} of log ${logIdentity} stands at offset ${position}, but the log ends at ${end}: records are gone. ` +
      'Restore the log, or remove the snapshots to go on with what is left',
  );
}

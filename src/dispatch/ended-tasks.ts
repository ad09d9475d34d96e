/** A completed task is remembered for at least so many records of its partition. */
export const recordsRemembered = 200_000;

/**
 * The ids of the completed and rejected tasks of one partition: they must never run again.
 *
 * An id that was made from an idempotency key is kept for good, since its client may repeat the request whenever it
 * likes. Only a producer that sends its batch again repeats a random id (UUIDv7), and does so soon: such ids are
 * forgotten after 200,000 to 400,000 records of the partition, so that memory does not grow with history. When exactly
 * follows from offsets alone, as everything else in the fold.
 */
export class EndedTasks {
  #forGood = new Set<string>();
  /** Ended in the present stretch of `recordsRemembered` offsets, and in the one before. */
  #recent = new Set<string>();
  #earlier = new Set<string>();
  #stretch = 0;

  get size(): number {
    return this.#forGood.size + this.#recent.size + this.#earlier.size;
  }

  has(taskId: string): boolean {
    const id = compact(taskId);
    return this.#forGood.has(id) || this.#recent.has(id) || this.#earlier.has(id);
  }

  add(taskId: string): void {
    (isRandom(taskId) ? this.#recent : this.#forGood).add(compact(taskId));
  }

  /** The record at this offset is folded next. */
  advance(offset: number): void {
    const stretch = Math.floor(offset / recordsRemembered);
    if (stretch === this.#stretch) return;
    // Sets that are left are never changed again: whoever writes them out meanwhile sees them as they were.
    this.#earlier = stretch === this.#stretch + 1 ? this.#recent : new Set();
    this.#recent = new Set();
    this.#stretch = stretch;
  }

  /** Everything, as of now: it can be written out later, while more ids are added. Costs nothing. */
  cut(): EndedCut {
    const sets = [this.#forGood, this.#earlier, this.#recent] as const;
    return { stretch: this.#stretch, sets: sets.map((ids) => ({ ids, count: ids.size })) };
  }

  /** @param sets those of `EndedCut`, in its order; they are this object's from now on */
  static restored(stretch: number, sets: ReadonlyArray<Set<string>>): EndedTasks {
    const ended = new EndedTasks();
    ended.#stretch = stretch;
    [ended.#forGood = new Set(), ended.#earlier = new Set(), ended.#recent = new Set()] = sets;
    return ended;
  }
}

export interface EndedCut {
  readonly stretch: number;
  /** Kept for good, of the earlier stretch, of the present one. Of each the first `count`: ids are only ever added. */
  readonly sets: ReadonlyArray<{ readonly ids: ReadonlySet<string>; readonly count: number }>;
}

/** The version of a UUID stands at its 15th character. */
function isRandom(taskId: string): boolean {
  return taskId[14] === '7' && isUuid(taskId);
}

function isUuid(taskId: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(taskId);
}

/** A UUID in 16 characters of one byte each instead of 36. */
function compact(taskId: string): string {
  if (!isUuid(taskId)) return taskId;
  return Buffer.from(taskId.replaceAll('-', ''), 'hex').toString('latin1');
}

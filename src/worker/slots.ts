/** A place to run one handler in. */
export interface Slot {
  /**
   * Idempotent.
   * @param stillRunning a handler that nobody waits for any more: its place stays taken until this settles. Must not
   *   reject.
   */
  giveBack(stillRunning?: Promise<unknown> | null): void;
}

/**
 * How many handlers run at one time in this worker. First come, first served; whoever asks for all places goes first.
 * The number of waiting requests is bounded by the caller: one per job that it holds.
 */
export class Slots {
  #capacity: number;
  #taken = 0;
  #takenAlone = false;
  #closed = false;
  readonly #waiting: Request[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** A place, as soon as there is one; null once the slots are closed. */
  take(): Promise<Slot | null> {
    return this.#request(false);
  }

  /**
   * All places, as soon as nothing runs; nothing else starts before they are given back. Handlers that outlived
   * their deadline do not count: they would make everybody wait for ever.
   */
  takeAll(): Promise<Slot | null> {
    return this.#request(true);
  }

  /** Answers everybody who waits, and everybody who comes, with null. What is taken stays taken. */
  close(): void {
    this.#closed = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve(null);
  }

  #request(alone: boolean): Promise<Slot | null> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(null);
      if (alone) this.#waiting.unshift({ alone, resolve });
      else this.#waiting.push({ alone, resolve });
      this.#grant();
    });
  }

  #grant(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.resolve(this.#slot(next.alone));
    }
  }

  #fits({ alone }: Request): boolean {
    if (this.#takenAlone) return false;
    return alone ? this.#taken === 0 && this.#capacity > 0 : this.#taken < this.#capacity;
  }

  #slot(alone: boolean): Slot {
    this.#taken += 1;
    this.#takenAlone = alone;
    let held = true;
    return {
      giveBack: (stillRunning = null) => {
        if (!held) return;
        held = false;
        this.#taken -= 1;
        if (alone) this.#takenAlone = false;
        if (stillRunning) this.#withdrawUntil(stillRunning);
        this.#grant();
      },
    };
  }

  #withdrawUntil(returned: Promise<unknown>): void {
    this.#capacity -= 1;
    void returned.then(() => {
      this.#capacity += 1;
      this.#grant();
    });
  }
}

interface Request {
  readonly alone: boolean;
  readonly resolve: (slot: Slot | null) => void;
}

/** What is remembered of a task that an Idempotency-Key names. */
export interface RecentKey<Outcome> {
  /** Of the first request seen under the key: another one is another request. */
  readonly requestDigest: string;
  /** The outcome that repeats share, in flight or settled; null after a failure: the next try appends again. */
  outcome: Promise<Outcome> | null;
}

/**
 * A bounded memory of the newest keys; the oldest goes first. It only spares the log and the caller: what it has
 * forgotten is appended once more, and readers see by the request digest that it is a repeat, or that it is not.
 */
export class RecentKeys<Outcome> {
  readonly #capacity: number;
  readonly #entries = new Map<string, RecentKey<Outcome>>();

  /** @param capacity how many keys are kept; 0 remembers nothing */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(taskId: string): RecentKey<Outcome> | undefined {
    return this.#entries.get(taskId);
  }

  remember(taskId: string, entry: RecentKey<Outcome>): void {
    this.#entries.set(taskId, entry);
    if (this.#entries.size <= this.#capacity) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}

/**
 * Sends the calls of many callers together, so that they share one round trip and one commit.
 *
 * - What was queued while the former batch ran makes the next one; no timer, no waiting for company.
 * - One batch at a time, calls in the order in which they were made.
 * - A batch that is refused is halved and sent again, until the refusal stands alone: one bad call fails alone. Any
 *   other error is the error of every call of the batch.
 */
export class CallBatcher<Call, Answer> {
  readonly #send: (calls: readonly Call[]) => Promise<readonly Answer[]>;
  readonly #rules: BatchRules;
  readonly #limits: BatchLimits;
  #queue: Entry<Call, Answer>[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | null = null;
  #closed = false;

  /** @param send resolves with one answer for each call, in their order */
  constructor(send: (calls: readonly Call[]) => Promise<readonly Answer[]>, rules: BatchRules, limits: Partial<BatchLimits> = {}) {
    this.#send = send;
    this.#rules = rules;
    this.#limits = { ...defaultLimits, ...limits };
  }

  /**
   * @param bytes about how much the call sends, for the bounds on batches and queue
   * @throws what `send` throws, or `rules.notSent`
   */
  call(call: Call, bytes = 0): Promise<Answer> {
    const refusal = this.#refusal(bytes);
    if (refusal !== null) return Promise.reject(this.#rules.notSent(refusal));
    return new Promise<Answer>((resolve, reject) => {
      this.#queue.push({ call, bytes, queuedMs: performance.now(), resolve, reject });
      this.#queuedBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  /** Takes nothing more and resolves when everything queued has settled. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  #refusal(bytes: number): string | null {
    if (this.#closed) return 'they are closed';
    const { maxQueued, maxQueuedBytes } = this.#limits;
    if (this.#queue.length < maxQueued && this.#queuedBytes + bytes <= maxQueuedBytes) return null;
    return `${this.#queue.length} calls (${this.#queuedBytes} bytes) wait already`;
  }

  async #run(): Promise<void> {
    do {
      // Callers that ask in the same turn of the event loop travel together, those that were just answered included.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = this.#takeBatch();
      if (batch.length > 0) await this.#settle(batch);
    } while (this.#queue.length > 0);
    this.#running = null;
  }

  #takeBatch(): Entry<Call, Answer>[] {
    const { maxBatch, maxBatchBytes, maxWaitMs } = this.#limits;
    const oldestMs = performance.now() - maxWaitMs;
    const batch: Entry<Call, Answer>[] = [];
    let bytes = 0;
    let taken = 0;
    for (const entry of this.#queue) {
      if (batch.length === maxBatch || (batch.length > 0 && bytes + entry.bytes > maxBatchBytes)) break;
      taken += 1;
      this.#queuedBytes -= entry.bytes;
      if (entry.queuedMs < oldestMs) {
        entry.reject(this.#rules.notSent(`they were busy for more than ${maxWaitMs} ms`));
        continue;
      }
      batch.push(entry);
      bytes += entry.bytes;
    }
    this.#queue = this.#queue.slice(taken);
    return batch;
  }

  /** Never rejects. */
  async #settle(batch: readonly Entry<Call, Answer>[]): Promise<void> {
    try {
      const answers = await this.#send(batch.map(({ call }) => call));
      if (answers.length !== batch.length) throw new Error(`${batch.length} calls were sent, ${answers.length} answered`);
      for (const [index, answer] of answers.entries()) batch[index]?.resolve(answer);
    } catch (error) {
      if (batch.length === 1 || !this.#rules.isRefusal(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#settle(batch.slice(0, half));
      await this.#settle(batch.slice(half));
    }
  }
}

export interface BatchRules {
  /** Whether the batch had no effect, and a part of it may do better. */
  readonly isRefusal: (error: unknown) => boolean;
  /** The error of a call that was not sent. */
  readonly notSent: (why: string) => Error;
}

export interface BatchLimits {
  /** Calls in one batch. */
  readonly maxBatch: number;
  /** Bytes in one batch; a single larger call still gets its own. */
  readonly maxBatchBytes: number;
  /** Calls that may wait; a further one is refused at once. */
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  /** A call that waited longer in the queue is refused without being sent. */
  readonly maxWaitMs: number;
}

const defaultLimits: BatchLimits = {
  maxBatch: 512,
  maxBatchBytes: 4 * 1024 * 1024,
  maxQueued: 20_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxWaitMs: 4_000,
};

interface Entry<Call, Answer> {
  readonly call: Call;
  readonly bytes: number;
  readonly queuedMs: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

import { setTimeout as delay } from 'node:timers/promises';
import type { HeldReceipt } from '../guarantees/evidence.ts';
import { post, type Submission } from './daybook-http.ts';

const retryPauseMs = 20;

export interface SubmitterOptions {
  /** Where the server is now; null while there is none. */
  readonly url: () => string | null;
  /** The submission with that number; each has a key of its own. */
  readonly submission: (number: number) => Submission;
  readonly clients: number;
  /** Between two submissions of one client. */
  readonly pauseMs: number;
}

/**
 * Clients that keep submitting, as clients should: one whose call breaks off or is answered 503 sends the same again
 * under the same key until it has a receipt.
 */
export class Submitters {
  readonly receipts: HeldReceipt[] = [];
  /** Answers that were neither 202 nor 503. */
  readonly surprises: string[] = [];
  /** Calls that were answered 503. */
  unavailable = 0;
  /** Calls that broke off without an answer. */
  broken = 0;
  readonly #options: SubmitterOptions;
  readonly #working: Promise<unknown>;
  #next = 0;
  #stopping = false;

  constructor(options: SubmitterOptions) {
    this.#options = options;
    this.#working = Promise.all(Array.from({ length: options.clients }, () => this.#work()));
  }

  /** Lets each client get the receipt of what it has begun to submit. A server must be there. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    while (!this.#stopping) {
      await this.#submitUntilRecorded(this.#next++);
      await delay(this.#options.pauseMs);
    }
  }

  async #submitUntilRecorded(number: number): Promise<void> {
    for (;;) {
      const answer = await this.#submit(number);
      if (answer?.status === 202) return void this.receipts.push(answer.body);
      if (answer && answer.status !== 503) return void this.surprises.push(`${answer.status} ${JSON.stringify(answer.body)}`);
      if (answer) this.unavailable += 1;
      await delay(retryPauseMs);
    }
  }

  /** Null when there was no answer. */
  async #submit(number: number) {
    const url = this.#options.url();
    if (url === null) return null;
    try {
      return await post<HeldReceipt>(`${url}/v1/tasks`, this.#options.submission(number), { 'idempotency-key': `submission-${number}` });
    } catch {
      this.broken += 1;
      return null;
    }
  }
}

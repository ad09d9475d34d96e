import type { EventDraft, EventProducer } from '../event-producer/event-producer.ts';
import type { TaskExecutionProgressedData } from '../domain/task-events.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import { boundedText } from './task-error.ts';

const shortestGapMs = 1_000;
const longestNote = 500;

type ProgressDraft = (data: Pick<TaskExecutionProgressedData, 'sequence' | 'fraction' | 'note'>) => EventDraft<'TaskExecutionProgressed'>;

/**
 * Records the progress of one execution: at most one event a second, the newest, and the last one before the outcome.
 * It is a courtesy: what the log does not take at once is dropped, and no failure reaches the handler.
 */
export class ProgressReporter {
  readonly #producer: EventProducer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #draft: ProgressDraft;
  #sequence = 0;
  #lastMs = -Infinity;
  #pending: { readonly fraction: number; readonly note?: string } | null = null;
  #appending: Promise<void> | null = null;
  #cancelTimer: (() => void) | null = null;
  #lastFailed = false;
  #ended = false;

  constructor(producer: EventProducer, clock: Clock, logger: Logger, draft: ProgressDraft) {
    this.#producer = producer;
    this.#clock = clock;
    this.#logger = logger;
    this.#draft = draft;
  }

  report(fraction: number, note?: string): void {
    if (this.#ended || typeof fraction !== 'number' || Number.isNaN(fraction)) return;
    const within = Math.min(1, Math.max(0, fraction));
    this.#pending = typeof note === 'string' ? { fraction: within, note: boundedText(note, longestNote) } : { fraction: within };
    this.#advance();
  }

  /**
   * Resolves when nothing is under way any more, so that the outcome comes last: the log keeps the order of a task's
   * records only when one has settled before the next is appended. Reports after this call count no more.
   *
   * @param recordsLast whether the newest report is still recorded if it waits for its turn. An outcome waits for that
   *   at most as long as for one append; where the log did not take the append before it, for none.
   */
  async end(recordsLast: boolean): Promise<void> {
    this.#ended = true;
    this.#cancelTimer?.();
    await this.#appending;
    if (recordsLast && !this.#lastFailed) await this.#appendPending();
  }

  #advance(): void {
    if (!this.#pending || this.#appending || this.#cancelTimer || this.#ended) return;
    const waitMs = this.#lastMs + shortestGapMs - this.#clock.monotonicMs();
    if (waitMs > 0) {
      this.#cancelTimer = this.#clock.setTimer(waitMs, () => {
        this.#cancelTimer = null;
        this.#advance();
      });
      return;
    }
    this.#lastMs = this.#clock.monotonicMs();
    this.#appending = this.#appendPending();
  }

  async #appendPending(): Promise<void> {
    const progress = this.#pending;
    this.#pending = null;
    if (progress) await this.#append({ sequence: ++this.#sequence, ...progress });
  }

  async #append(data: Parameters<ProgressDraft>[0]): Promise<void> {
    try {
      await this.#producer.record(this.#draft(data));
      this.#lastFailed = false;
    } catch (error) {
      this.#lastFailed = true;
      // Its number is spent: the event may be in the log all the same, and one id must not have two values.
      this.#logger.debug({ error }, 'a progress event was not recorded');
    }
    this.#appending = null;
    this.#advance();
  }
}

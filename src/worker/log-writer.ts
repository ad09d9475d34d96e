import { hasCode } from '../domain/errors.ts';
import type { LogRecord } from '../domain/log-record.ts';
import type { EventProducer } from '../event-producer/event-producer.ts';
import type { Logger } from '../ports/logger.ts';
import type { Pauses } from './pauses.ts';

const firstPauseMs = 100;
const longestPauseMs = 5_000;

export interface LogWriterParts {
  readonly producer: EventProducer;
  readonly pauses: Pauses;
  readonly logger: Logger;
  /** Called when the log goes away, and when it is back. */
  readonly onAway: () => void;
  readonly onBack: () => void;
}

/**
 * Appends, and appends again for as long as the log is away. Nothing is lost by that, and nothing doubled: the record
 * stays byte for byte the same, and readers know a copy by its event id. One pause is shared by everybody who waits.
 */
export class LogWriter {
  readonly #parts: LogWriterParts;
  #away = false;
  #pauseMs = firstPauseMs;
  #pause: Promise<void> | null = null;

  constructor(parts: LogWriterParts) {
    this.#parts = parts;
  }

  get away(): boolean {
    return this.#away;
  }

  /**
   * Resolves with true once the log has the record; with false when `giveUp` says so before that: then it is not
   * known whether the log has it.
   * @throws DaybookError `log-rejected`: the log will never take it
   */
  async append(record: LogRecord, giveUp: () => boolean): Promise<boolean> {
    for (;;) {
      try {
        await this.#parts.producer.append(record);
        this.#reached();
        return true;
      } catch (error) {
        if (hasCode(error, 'log-rejected')) throw error;
        this.#missed(error);
      }
      if (giveUp()) return false;
      await this.#backOff();
      if (giveUp()) return false;
    }
  }

  #reached(): void {
    if (!this.#away) return;
    this.#away = false;
    this.#pauseMs = firstPauseMs;
    this.#parts.logger.info({}, 'the log takes events again: consuming goes on');
    this.#parts.onBack();
  }

  #missed(error: unknown): void {
    if (this.#away) return;
    this.#away = true;
    this.#parts.logger.warn({ error }, 'the log takes no events: consuming stops, and what is finished waits to be recorded');
    this.#parts.onAway();
  }

  #backOff(): Promise<void> {
    this.#pause ??= this.#nextPause();
    return this.#pause;
  }

  async #nextPause(): Promise<void> {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    await this.#parts.pauses.for(pauseMs);
    this.#pause = null;
  }
}

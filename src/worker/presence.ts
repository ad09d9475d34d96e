import { messageOf } from '../domain/errors.ts';
import { waitAtMost, type Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Heartbeat, HeldJob } from '../domain/heartbeat.ts';
import type { PresenceWriter } from '../ports/presence-writer.ts';
import type { DependencyHealth } from '../ports/service.ts';

export interface PresenceParts {
  readonly writer: PresenceWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly workerId: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  /** A worker that is silent for so long counts as gone. */
  readonly presenceMs: number;
  /** What the worker holds now. */
  readonly held: () => readonly HeldJob[];
}

/** How long a worker that stops waits for its last heartbeat; without it, others take it for gone a little later. */
const farewellMs = 1_000;

/**
 * Says that the worker is there and what it holds: at its start, then three times in `presenceMs`, and once more when
 * it has stopped. It keeps the worker from nothing: a heartbeat is never waited for, and one that fails is made up for
 * by the next.
 */
export class Presence {
  readonly #parts: PresenceParts;
  #startedAtMs = 0;
  #cancelTimer: (() => void) | null = null;
  #problem: string | null = null;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#startedAtMs = this.#parts.clock.nowMs();
    this.#beat();
  }

  /** After everything that was held is given back. Does nothing before the start. Never rejects; idempotent. */
  async stop(): Promise<void> {
    if (!this.#cancelTimer) return;
    this.#cancelTimer();
    this.#cancelTimer = null;
    await waitAtMost(this.#parts.clock, farewellMs, this.#write(true));
  }

  /** For people: a worker does its work unheard as well. */
  health(): DependencyHealth {
    return { name: 'presence', ok: true, detail: this.#problem === null ? 'heartbeats are taken' : `heartbeats are not taken: ${this.#problem}` };
  }

  #beat(): void {
    const { clock, presenceMs } = this.#parts;
    this.#cancelTimer = clock.setTimer(Math.max(1, Math.floor(presenceMs / 3)), () => this.#beat());
    void this.#write(false);
  }

  /** Never rejects. */
  async #write(stopped: boolean): Promise<void> {
    const { writer, logger } = this.#parts;
    try {
      await writer.write(this.#heartbeat(stopped));
      if (this.#problem !== null) logger.info({}, 'heartbeats are taken again');
      this.#problem = null;
    } catch (error) {
      // Once per outage: the next one tries again anyhow.
      if (this.#problem === null) logger.warn({ error }, 'a heartbeat was not taken: after a while without any, this worker counts as gone');
      this.#problem = messageOf(error);
    }
  }

  #heartbeat(stopped: boolean): Heartbeat {
    const { clock, workerId, queues, concurrency, held } = this.#parts;
    return { workerId, timeMs: clock.nowMs(), stopped, startedAtMs: this.#startedAtMs, queues, concurrency, held: stopped ? [] : held() };
  }
}

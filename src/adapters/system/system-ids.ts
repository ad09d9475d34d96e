import { randomInt, randomUUID } from 'node:crypto';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';

/**
 * UUID version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, a 12-bit counter (section 6.2, method 1), 62 random
 * bits. The ids of one instance always grow, within a millisecond and when the clock is set back.
 */
export class SystemIds implements Ids {
  readonly #clock: Clock;
  #lastMs = 0;
  #counter = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  uuidv7(): string {
    const nowMs = this.#clock.nowMs();
    if (nowMs > this.#lastMs) this.#startMillisecond(nowMs);
    else if (++this.#counter > 0xfff) this.#startMillisecond(this.#lastMs + 1);

    const time = this.#lastMs.toString(16).padStart(12, '0');
    const counter = this.#counter.toString(16).padStart(3, '0');
    // The tail of a version 4 id brings the variant and the random bits.
    const id = `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${randomUUID().slice(19)}`;
    // Written out once: as a concatenation of pieces each id would keep all its pieces in memory.
    return Buffer.from(id, 'latin1').toString('latin1');
  }

  /** The counter starts low, so that a millisecond has room for at least 2,048 ids. */
  #startMillisecond(ms: number): void {
    this.#lastMs = ms;
    this.#counter = randomInt(0x800);
  }
}

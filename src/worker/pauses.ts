import type { Clock } from '../ports/clock.ts';

/**
 * Waits that can all be ended early at once. Whoever waits looks again at what it waits for, before and after.
 * (One AbortSignal shared by hundreds of waits would do the same with a listener for each.)
 */
export class Pauses {
  readonly #clock: Clock;
  readonly #endings = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  for(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        this.#endings.delete(end);
        resolve();
      };
      const cancel = this.#clock.setTimer(delayMs, end);
      this.#endings.add(end);
    });
  }

  /** Ends every wait that is under way. */
  wake(): void {
    for (const end of [...this.#endings]) end();
  }
}

import type { OpenTask } from './open-tasks.ts';

const priorities = 10;

/**
 * The tasks that are ready for one queue. They wait here, not in the broker, until the window has room: so priority,
 * cancellation and expiry are decided at the last moment, and a long backlog costs the broker nothing.
 */
export class Lane {
  /** Attempts that were handed out and have no outcome yet, those being published included. */
  outstanding = 0;
  /** No publishing before this monotonic time: the queue refused or is away. */
  pausedUntilMs = 0;
  readonly #again = new Fifo<OpenTask>();
  readonly #ready = Array.from({ length: priorities }, () => new Fifo<OpenTask>());

  get waiting(): number {
    return this.#ready.reduce((sum, fifo) => sum + fifo.length, this.#again.length);
  }

  offer(task: OpenTask): void {
    if (task.waiting) return;
    task.waiting = true;
    this.#ready[task.state.accepted?.priority ?? 0]?.push(task);
  }

  /** A task whose job is to be issued again: it has its place in the window already. */
  offerAgain(task: OpenTask): void {
    if (task.waiting) return;
    task.waiting = true;
    this.#again.push(task);
  }

  /**
   * The next task: those to be issued again, then, while the window has room, highest priority first, then the order
   * in which they became ready.
   * @param window attempts outstanding, at most
   */
  take(window: number): OpenTask | undefined {
    const task = this.#again.shift() ?? (this.outstanding < window ? this.#takeReady() : undefined);
    if (task) task.waiting = false;
    return task;
  }

  #takeReady(): OpenTask | undefined {
    for (let priority = priorities - 1; priority >= 0; priority--) {
      const task = this.#ready[priority]?.shift();
      if (task) return task;
    }
    return undefined;
  }
}

class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head++];
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

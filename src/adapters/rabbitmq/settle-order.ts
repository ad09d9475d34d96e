/** A delivery as far as the order of settling is concerned. */
export interface Settling {
  readonly tag: number;
  /**
   * `held`: the queue may not forget it yet (the consumer works on it, or it is about to be returned).
   * `finished`: it is done, and the broker was not told. `settled`: the broker was told.
   */
  state: 'held' | 'finished' | 'settled';
}

export interface Acknowledgement<Delivery> {
  readonly tag: number;
  /** Everything up to the tag, not the tag alone. */
  readonly multiple: boolean;
  readonly deliveries: readonly Delivery[];
}

const leastCompacted = 256;

/**
 * Decides which acknowledgements a channel sends. Cheapest is one for the longest finished prefix: it covers all
 * earlier deliveries, so it may reach only to the first one that is still held. Where a slow one holds back many
 * others, or holds some back for long, those are acknowledged singly.
 */
export class SettleOrder<Delivery extends Settling> {
  /** More finished deliveries than this behind a held one are acknowledged singly. */
  readonly #maxBehind: number;
  #deliveries: Delivery[] = [];
  #head = 0;
  #compactAt = leastCompacted;
  #finished = 0;

  constructor(maxBehind: number) {
    this.#maxBehind = maxBehind;
  }

  /** Whether something is finished and not acknowledged. */
  get hasFinished(): boolean {
    return this.#finished > 0;
  }

  /** In the order of their tags. */
  add(delivery: Delivery): void {
    if (this.#deliveries.length >= this.#compactAt) this.#compact();
    this.#deliveries.push(delivery);
  }

  finish(delivery: Delivery): void {
    delivery.state = 'finished';
    this.#finished += 1;
  }

  /** Settles what it returns. `singly`: leaves nothing finished behind. */
  takeAcknowledgements(singly: boolean): Acknowledgement<Delivery>[] {
    const prefix = this.#takePrefix();
    if (this.#finished === 0 || (!singly && this.#finished <= this.#maxBehind)) return prefix;
    return [...prefix, ...this.#takeSingly()];
  }

  /** Whether everything is settled. */
  get isEmpty(): boolean {
    return this.#deliveries.every(({ state }) => state === 'settled');
  }

  /** How many deliveries it keeps, settled ones that it has not yet forgotten included. */
  get size(): number {
    return this.#deliveries.length;
  }

  /** Everything that is not settled; forgets it. */
  takeRest(): Delivery[] {
    const rest = this.#deliveries.slice(this.#head).filter(({ state }) => state !== 'settled');
    this.#deliveries = [];
    this.#head = this.#finished = 0;
    return rest;
  }

  #takePrefix(): Acknowledgement<Delivery>[] {
    const deliveries: Delivery[] = [];
    for (; this.#head < this.#deliveries.length; this.#head += 1) {
      const delivery = this.#deliveries[this.#head]!;
      if (delivery.state === 'held') break;
      if (delivery.state === 'finished') deliveries.push(delivery);
      delivery.state = 'settled';
    }
    this.#finished -= deliveries.length;
    // The tag must not have been settled before: the broker closes the channel over one that it does not know.
    const last = deliveries.at(-1);
    return last ? [{ tag: last.tag, multiple: deliveries.length > 1, deliveries }] : [];
  }

  #takeSingly(): Acknowledgement<Delivery>[] {
    const finished = this.#deliveries.slice(this.#head).filter(({ state }) => state === 'finished');
    for (const delivery of finished) delivery.state = 'settled';
    this.#finished = 0;
    return finished.map((delivery) => ({ tag: delivery.tag, multiple: false, deliveries: [delivery] }));
  }

  /** Forgets what is settled, also behind one that is held for hours. */
  #compact(): void {
    this.#deliveries = this.#deliveries.slice(this.#head).filter(({ state }) => state !== 'settled');
    this.#head = 0;
    this.#compactAt = Math.max(leastCompacted, 2 * this.#deliveries.length);
  }
}

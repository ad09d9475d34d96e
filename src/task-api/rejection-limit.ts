import type { Clock } from '../ports/clock.ts';

const mostClients = 10_000;

/**
 * How many rejections of one client become history: a token bucket for each client that holds one second's worth,
 * so that nobody can fill the log with refusals. Clients beyond the 10,000 most recent ones start afresh.
 */
export class RejectionLimit {
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, { readonly tokens: number; readonly atMs: number }>();

  /** @param perSecond rejections recorded for each client; 0 records none */
  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** Whether one more rejection of this client may be recorded; if so, it counts. */
  take(client: string): boolean {
    const atMs = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(client) ?? { tokens: this.#perSecond, atMs };
    const tokens = Math.min(this.#perSecond, bucket.tokens + ((atMs - bucket.atMs) * this.#perSecond) / 1_000);
    const taken = tokens >= 1;
    this.#buckets.delete(client);
    this.#buckets.set(client, { tokens: taken ? tokens - 1 : tokens, atMs });
    if (this.#buckets.size > mostClients) this.#forgetOldest();
    return taken;
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next();
    if (!oldest.done) this.#buckets.delete(oldest.value);
  }
}

import type { Clock } from '../ports/clock.ts';
import type { ClaimedExecution } from '../ports/execution-claims.ts';
import type { Logger } from '../ports/logger.ts';
import type { ExecutionGuard, Unreachable } from './execution-guard.ts';

/** Keeps the claims of this worker alive: one timer renews them all, at a third of the lease. */
export class Leases {
  readonly leaseMs: number;
  readonly #guard: ExecutionGuard;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #held = new Set<Lease>();
  #cancelTimer: (() => void) | null = null;
  #stopped = false;

  constructor(leaseMs: number, guard: ExecutionGuard, clock: Clock, logger: Logger) {
    this.leaseMs = leaseMs;
    this.#guard = guard;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * @param askedMs monotonic time before the claim was asked for: the lease is not younger than that
   * @param onLost called once, when the store says that another execution holds the attempt
   */
  hold(execution: ClaimedExecution, askedMs: number, onLost: () => void): Lease {
    const lease = new Lease(execution, askedMs, {
      renew: () => this.#guard.renew(execution, this.leaseMs),
      monotonicMs: () => this.#clock.monotonicMs(),
      end: () => this.#held.delete(lease),
      onLost,
    });
    this.#held.add(lease);
    this.#arm();
    return lease;
  }

  /** Renews nothing any more. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#held.clear();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#cancelTimer ??= this.#clock.setTimer(Math.max(1, Math.floor(this.leaseMs / 3)), () => {
      this.#cancelTimer = null;
      if (this.#held.size === 0) return;
      for (const lease of this.#held) void this.#renew(lease);
      this.#arm();
    });
  }

  async #renew(lease: Lease): Promise<void> {
    try {
      await lease.renew();
    } catch (error) {
      // Not an outage: those are answers. The lease may run out, which the claims store then says by itself.
      this.#logger.error({ error, taskId: lease.execution.taskId }, 'renewing a lease failed');
    }
  }
}

interface LeaseParts {
  readonly renew: () => Promise<boolean | Unreachable>;
  readonly monotonicMs: () => number;
  readonly end: () => void;
  readonly onLost: () => void;
}

export class Lease {
  readonly execution: ClaimedExecution;
  readonly #parts: LeaseParts;
  #freshMs: number;
  #lost = false;
  #renewing: Promise<boolean | Unreachable> | null = null;

  constructor(execution: ClaimedExecution, askedMs: number, parts: LeaseParts) {
    this.execution = execution;
    this.#freshMs = askedMs;
    this.#parts = parts;
  }

  get lost(): boolean {
    return this.#lost;
  }

  /** How long ago, at most, the store last said that the attempt is ours. */
  get ageMs(): number {
    return this.#parts.monotonicMs() - this.#freshMs;
  }

  /** False when another execution holds the attempt. A call while one is under way joins it. */
  renew(): Promise<boolean | Unreachable> {
    this.#renewing ??= this.#renewOnce().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  /** The execution has ended: nothing is renewed any more. */
  end(): void {
    this.#parts.end();
  }

  async #renewOnce(): Promise<boolean | Unreachable> {
    const askedMs = this.#parts.monotonicMs();
    const answer = await this.#parts.renew();
    if (answer === true) this.#freshMs = askedMs;
    if (answer === false && !this.#lost) {
      this.#lost = true;
      this.#parts.end();
      this.#parts.onLost();
    }
    return answer;
  }
}

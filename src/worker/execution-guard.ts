import { hasCode } from '../domain/errors.ts';
import type {
  ClaimAnswer,
  ClaimedExecution,
  ClaimRequest,
  ExecutionClaims,
  StoreAnswer,
  StoredOutcome,
} from '../ports/execution-claims.ts';
import type { Logger } from '../ports/logger.ts';

/** The claims could not be reached; it is not known whether the call took effect. */
export interface Unreachable {
  readonly type: 'unreachable';
}

const unreachable: Unreachable = { type: 'unreachable' };

/** The claims, with their being away as an answer instead of an error: the worker goes on without them where it may. */
export class ExecutionGuard {
  readonly #claims: ExecutionClaims;
  readonly #logger: Logger;
  #reachable = true;

  constructor(claims: ExecutionClaims, logger: Logger) {
    this.#claims = claims;
    this.#logger = logger;
  }

  /** False for the adapter that guards nothing. */
  get guards(): boolean {
    return this.#claims.guards;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  claim(request: ClaimRequest): Promise<ClaimAnswer | Unreachable> {
    return this.#ask(this.#claims.claim(request));
  }

  renew(execution: ClaimedExecution, leaseMs: number): Promise<boolean | Unreachable> {
    return this.#ask(this.#claims.renew(execution, leaseMs));
  }

  storeOutcome(execution: ClaimedExecution, outcome: StoredOutcome): Promise<StoreAnswer | Unreachable> {
    return this.#ask(this.#claims.storeOutcome(execution, outcome));
  }

  /** Where it cannot be reached, the lease runs out by itself; the claim then counts as a death, which is harmless. */
  async release(execution: ClaimedExecution): Promise<void> {
    await this.#ask(this.#claims.release(execution));
  }

  async #ask<Answer>(call: Promise<Answer>): Promise<Answer | Unreachable> {
    try {
      const answer = await call;
      if (!this.#reachable) this.#logger.info({}, 'the claims can be reached again');
      this.#reachable = true;
      return answer;
    } catch (error) {
      if (!hasCode(error, 'claims-unavailable')) throw error;
      if (this.#reachable) this.#logger.warn({ error }, 'the claims cannot be reached: tasks that do not require a guard run without');
      this.#reachable = false;
      return unreachable;
    }
  }
}

import type { ClaimAnswer, ExecutionClaims, StoreAnswer } from '../../ports/execution-claims.ts';

/**
 * Claims that guard nothing: every attempt may run, as often as its job is delivered, and `TaskExecutionStarted` says
 * so. The fold still lets one outcome count; what ran in vain is in the history.
 */
export class NoExecutionClaims implements ExecutionClaims {
  readonly guards = false;

  claim(): Promise<ClaimAnswer> {
    return Promise.resolve({ type: 'claimed', deaths: 0 });
  }

  renew(): Promise<boolean> {
    return Promise.resolve(true);
  }

  storeOutcome(): Promise<StoreAnswer> {
    return Promise.resolve({ type: 'stored' });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

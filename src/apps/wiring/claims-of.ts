import { NoExecutionClaims } from '../../adapters/none/no-execution-claims.ts';
import { PostgresExecutionClaims } from '../../adapters/postgres/postgres-execution-claims.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ExecutionClaims } from '../../ports/execution-claims.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Service } from '../../ports/service.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import type { Config } from '../config.ts';
import { pruneDaily } from './pruning.ts';

export interface OpenedClaims {
  readonly executionClaims: ExecutionClaims;
  readonly services: readonly Service[];
}

const longestAnswerMs = 3_000;
const shortestAnswerMs = 250;

/**
 * Claims in PostgreSQL where a server is named, else none, which is said once.
 * @param isNeeded whether something waits for the claims while they are away; else the role is ready without them
 */
export function claimsOf(config: Config, logIdentity: () => Promise<string>, clock: Clock, logger: Logger, isNeeded: boolean): OpenedClaims {
  const url = config.claimsUrl ?? config.postgresUrl;
  if (url === null || url === 'none') {
    logger.warn({}, 'claims are off: a job that is delivered twice runs twice, and the history shows both runs');
    return { executionClaims: new NoExecutionClaims(), services: [] };
  }
  // A server that hangs is found out within two of these: before a lease ends that was renewed at a third of it, and
  // an execution that need not wait for the claims begins within a lease.
  const answerMs = Math.max(shortestAnswerMs, Math.min(longestAnswerMs, Math.floor(config.leaseMs / 3)));
  const limits = { connectTimeoutMs: answerMs, statementTimeoutMs: answerMs };
  const claims = new PostgresExecutionClaims({ url, logIdentity, ...limits, ...(config.schema === null ? {} : { schema: config.schema }) });
  const stopPruning = pruneDaily(claims, clock, logger);
  const close = () => {
    stopPruning();
    return claims.close();
  };
  const health = () => {
    const { ok, detail } = claims.health();
    return ok || isNeeded ? { ok, detail } : { ok: true, detail: `executions run unguarded: ${detail}` };
  };
  return { executionClaims: claims, services: [hostedAdapter('claims', { health, close })] };
}

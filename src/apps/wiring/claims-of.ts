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

/** Claims in PostgreSQL where a server is named, else none, which is said once. */
export function claimsOf(config: Config, logIdentity: () => Promise<string>, clock: Clock, logger: Logger): OpenedClaims {
  const url = config.claimsUrl ?? config.postgresUrl;
  if (url === null || url === 'none') {
    logger.warn({}, 'claims are off: a job that is delivered twice runs twice, and the history shows both runs');
    return { executionClaims: new NoExecutionClaims(), services: [] };
  }
  const claims = new PostgresExecutionClaims({ url, logIdentity, ...(config.schema === null ? {} : { schema: config.schema }) });
  const stopPruning = pruneDaily(claims, clock, logger);
  const close = () => {
    stopPruning();
    return claims.close();
  };
  return { executionClaims: claims, services: [hostedAdapter('claims', { health: () => claims.health(), close })] };
}

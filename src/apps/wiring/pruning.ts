import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';

const dayMs = 24 * 3_600_000;

/** Claims outlive their job by a week; what is older goes once a day. One that cannot be removed now goes a day later. */
export function pruneDaily(claims: { prune(): Promise<number> }, clock: Clock, logger: Logger): () => void {
  let cancel = clock.setTimer(dayMs, prune);
  function prune(): void {
    cancel = clock.setTimer(dayMs, prune);
    claims.prune().then(
      (removed) => logger.info({ removed }, 'old claims were removed'),
      (error: unknown) => logger.warn({ error }, 'old claims could not be removed; they go tomorrow'),
    );
  }
  return () => cancel();
}

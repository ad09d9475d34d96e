import type { Heartbeat } from '../domain/heartbeat.ts';

/**
 * Hears the heartbeats of all workers, from the moment of `start` on: what was said before it is not told.
 *
 * Order: those of one worker come in the order in which they were written. Duplicates are possible.
 */
export interface PresenceReader {
  /** @param onHeartbeat called for each heartbeat; must not throw */
  start(onHeartbeat: (heartbeat: Heartbeat) => void): void;

  /**
   * Whether everything that was published up to a moment ago has been told. False while the place where heartbeats
   * are published is away, and until every worker had the time to be heard: the silence of a worker means nothing then.
   *
   * What is told says what its worker held when it was written, which may be as long ago as a worker may be silent.
   */
  isCurrent(): boolean;

  /** Nothing is told after it. Idempotent. */
  stop(): Promise<void>;
}

import type { DependencyHealth } from './service.ts';

/**
 * Says which partitions this process may act on, when several processes of a role share the log. It gives the right
 * to act and nothing else: positions are kept elsewhere.
 *
 * At most one process holds a partition, except while one that lost it has not noticed: a zombie. Zombies are
 * harmless by the rules of the log (deterministic ids, the first valid event wins), and stand down by the clock.
 */
export interface PartitionOwnership {
  /**
   * Takes part in the sharing until `stop`.
   * @param onChange told of all partitions that are held from now on, at every change. What is missing is to be let go
   *   at once; what is new may be acted on once its history is read.
   */
  start(onChange: (held: ReadonlySet<number>) => void): void;

  /**
   * Whether the partition may be acted on right now: it is held, and the hold was confirmed lately enough that no
   * other process can have got it meanwhile.
   */
  holds(partition: number): boolean;

  /** Whether it takes part in the sharing. Who takes part and holds nothing, because the others hold all, is well. */
  health(): DependencyHealth;

  /** Gives everything up, so that others may take it at once. Idempotent. */
  stop(): Promise<void>;
}

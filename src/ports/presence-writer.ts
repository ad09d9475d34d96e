/**
 * Tells others that a worker is there and what it holds. Operational, not history: kept for a short time, and nothing
 * is decided from it but which jobs nobody holds.
 */
export interface PresenceWriter {
  /**
   * Publishes one heartbeat; those of one worker arrive in the order of the calls.
   * Durability: none is promised. A heartbeat that was lost is made up for by the next one.
   * @throws DaybookError `log-unavailable`: it was not taken; the caller goes on with the next one
   */
  write(heartbeat: Heartbeat): Promise<void>;
}

/** What a worker says of itself at regular times. */
export interface Heartbeat {
  readonly workerId: string;
  /** When it was made, by the worker's clock. */
  readonly timeMs: number;
  /** Its last one: the worker has given back whatever it held. */
  readonly stopped: boolean;
  readonly startedAtMs: number;
  readonly queues: readonly string[];
  /** The most handlers that run at one time. */
  readonly concurrency: number;
  /** Every delivery that is neither acknowledged nor given back, running or waiting, each (task, attempt) once. */
  readonly held: readonly HeldJob[];
}

export interface HeldJob {
  readonly taskId: string;
  readonly attempt: number;
}

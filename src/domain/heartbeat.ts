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

/** A long-running part of a role. The host starts services in order and stops them in reverse. */
export interface Service {
  readonly name: string;
  /** Resolves once the service works or keeps trying by itself; a dependency that is away is no error. */
  start(): Promise<void>;
  /** Stops taking new work, finishes or gives back what is held within `deadlineMs`, and settles. Idempotent. */
  stop(deadlineMs: number): Promise<void>;
  /** What it needs, and whether that is there. */
  health(): readonly DependencyHealth[];
}

export interface DependencyHealth {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

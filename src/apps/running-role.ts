import type { Listening } from './http/listening.ts';

export interface RunningRole {
  /** Null without HTTP. */
  readonly listening: Listening | null;
  /** Drains, then lets go of everything. */
  stop(): Promise<void>;
}

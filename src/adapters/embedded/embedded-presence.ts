import type { PresenceReader } from '../../ports/presence-reader.ts';
import type { Heartbeat } from '../../domain/heartbeat.ts';
import type { PresenceWriter } from '../../ports/presence-writer.ts';

/**
 * Heartbeats within one process, in memory: for systems whose dispatcher and worker share it. Told at once; a
 * heartbeat that nobody listens to is gone.
 */
export class EmbeddedPresence implements PresenceWriter {
  readonly #listeners = new Set<(heartbeat: Heartbeat) => void>();

  write(heartbeat: Heartbeat): Promise<void> {
    for (const tell of this.#listeners) tell(heartbeat);
    return Promise.resolve();
  }

  /** Each call makes another one. */
  reader(): PresenceReader {
    return new EmbeddedPresenceReader(this.#listeners);
  }
}

class EmbeddedPresenceReader implements PresenceReader {
  readonly #listeners: Set<(heartbeat: Heartbeat) => void>;
  #tell: ((heartbeat: Heartbeat) => void) | null = null;
  #stopped = false;

  constructor(listeners: Set<(heartbeat: Heartbeat) => void>) {
    this.#listeners = listeners;
  }

  start(onHeartbeat: (heartbeat: Heartbeat) => void): void {
    if (this.#stopped || this.#tell) return;
    this.#tell = (heartbeat) => onHeartbeat(heartbeat);
    this.#listeners.add(this.#tell);
  }

  /** Nothing is ever on its way here. */
  isCurrent(): boolean {
    return this.#tell !== null;
  }

  stop(): Promise<void> {
    this.#stopped = true;
    if (this.#tell) this.#listeners.delete(this.#tell);
    this.#tell = null;
    return Promise.resolve();
  }
}

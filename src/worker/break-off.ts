export type BreakOffCause = 'timeout' | 'lease-lost' | 'shutdown';
export type AbandonCause = 'timeout' | 'shutdown';

/**
 * Ends one execution early: first asks the handler, through its signal, then stops waiting for it.
 */
export class BreakOff {
  #cause: BreakOffCause | null = null;
  /** Made when a handler asks for the signal: most never do. */
  #controller: AbortController | null = null;
  #onAbandon: (cause: AbandonCause) => void = () => {};

  /** Why the handler was asked to end; the first cause stays. */
  get cause(): BreakOffCause | null {
    return this.#cause;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#cause && !this.#controller.signal.aborted) this.#controller.abort(abortReason(this.#cause));
    return this.#controller.signal;
  }

  abort(cause: BreakOffCause): void {
    if (this.#cause) return;
    this.#cause = cause;
    this.#controller?.abort(abortReason(cause));
  }

  /** Names who is to be told when nobody waits for the handler any longer. */
  whenAbandoned(callback: (cause: AbandonCause) => void): void {
    this.#onAbandon = callback;
  }

  abandon(cause: AbandonCause): void {
    this.#onAbandon(cause);
  }
}

const explanations: Readonly<Record<BreakOffCause, string>> = {
  timeout: 'the execution reached its time limit',
  'lease-lost': 'another execution has taken the attempt over',
  shutdown: 'the worker is shutting down',
};

/** Named as the platform's own reasons are, so that handlers can tell them apart as they are used to. */
function abortReason(cause: BreakOffCause): Error {
  const reason = new Error(explanations[cause]);
  reason.name = cause === 'timeout' ? 'TimeoutError' : 'AbortError';
  return reason;
}

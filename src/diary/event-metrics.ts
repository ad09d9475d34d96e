import type { DecodedRecord } from '../domain/task-events.ts';
import type { TaskState } from '../domain/task-state.ts';

/** Upper bounds of the latency buckets, milliseconds; the last bucket takes the rest. */
export const latencyBucketsMs = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000] as const;

/** Counts since the process started: plain numbers, which only grow, so that they pass between threads and add up. */
export interface EventMetricsSnapshot {
  /** Records read at the live edge, by event type; `Unreadable` are those that no event could be read from. */
  readonly events: Readonly<Record<string, number>>;
  /** Events that changed nothing because their transition was illegal, by the code of the anomaly. */
  readonly voids: Readonly<Record<string, number>>;
  /** Failed executions by cause. */
  readonly failures: Readonly<Record<string, number>>;
  /** Tasks that failed for good, by reason. */
  readonly permanentFailures: Readonly<Record<string, number>>;
  /** From the acceptance to the first dispatch. */
  readonly acceptedToDispatched: LatencySnapshot;
  /** From the newest dispatch to the end of the task. */
  readonly dispatchedToFinished: LatencySnapshot;
  /** Records without a usable key. */
  readonly quarantined: number;
}

export interface LatencySnapshot {
  readonly count: number;
  readonly sumMs: number;
  /** Not cumulative; one more entry than `latencyBucketsMs`. */
  readonly buckets: readonly number[];
}

/** Derives counters from events. Copies of events are counted as records, and change nothing else. */
export class EventMetrics {
  readonly #events = new Map<string, number>();
  readonly #voids = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #permanentFailures = new Map<string, number>();
  readonly #acceptedToDispatched = new Latency();
  readonly #dispatchedToFinished = new Latency();
  #quarantined = 0;

  observe(before: TaskState, event: DecodedRecord, after: TaskState): void {
    increase(this.#events, event.type);
    if (after.anomalies !== before.anomalies) increase(this.#voids, after.anomalies.at(-1)?.code ?? 'unreadable');
    if (after === before || after.anomalies !== before.anomalies || event.type === 'Unreadable') return;
    if (event.type === 'TaskExecutionFailed') increase(this.#failures, event.data.cause);
    if (event.type === 'TaskFailedPermanently') increase(this.#permanentFailures, event.data.reason);
    if (event.type === 'TaskDispatched' && event.data.attempt === 1 && event.data.issue === 1) {
      this.#acceptedToDispatched.add(event.timeMs - (after.accepted?.timeMs ?? event.timeMs));
    }
    if (after.end !== null && after.end !== before.end) {
      const dispatchedMs = after.attempts.flatMap(({ dispatches }) => dispatches).at(-1)?.timeMs;
      if (dispatchedMs !== undefined) this.#dispatchedToFinished.add(after.end.timeMs - dispatchedMs);
    }
  }

  addQuarantined(count: number): void {
    this.#quarantined += count;
  }

  snapshot(): EventMetricsSnapshot {
    return {
      events: Object.fromEntries(this.#events),
      voids: Object.fromEntries(this.#voids),
      failures: Object.fromEntries(this.#failures),
      permanentFailures: Object.fromEntries(this.#permanentFailures),
      acceptedToDispatched: this.#acceptedToDispatched.snapshot(),
      dispatchedToFinished: this.#dispatchedToFinished.snapshot(),
      quarantined: this.#quarantined,
    };
  }
}

class Latency {
  #count = 0;
  #sumMs = 0;
  readonly #buckets: number[] = new Array<number>(latencyBucketsMs.length + 1).fill(0);

  /** Clocks of two processes may disagree: less than nothing counts as nothing. */
  add(elapsedMs: number): void {
    const atLeastZero = Math.max(0, elapsedMs);
    this.#count += 1;
    this.#sumMs += atLeastZero;
    const found = latencyBucketsMs.findIndex((boundMs) => atLeastZero <= boundMs);
    const bucket = found < 0 ? latencyBucketsMs.length : found;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
  }

  snapshot(): LatencySnapshot {
    return { count: this.#count, sumMs: this.#sumMs, buckets: [...this.#buckets] };
  }
}

function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

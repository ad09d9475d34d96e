import { Counter, Gauge, type Histogram, type Registry } from 'prom-client';
import { latencyBucketsMs, type EventMetricsSnapshot, type LatencySnapshot } from '../../diary/event-metrics.ts';

/**
 * What is said of tasks, counted from events. One question to the diary answers all of these metrics: those of one
 * scrape ask at the same time. While it does not answer they are empty.
 */
export function addDiaryMetrics(registry: Registry, ask: () => Promise<EventMetricsSnapshot>): void {
  const snapshot = sharedWhilePending(() => ask().catch(() => null));
  const counter = (name: string, help: string, label: string, counts: (snapshot: EventMetricsSnapshot) => Readonly<Record<string, number>>) => {
    const metric: Counter = new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      async collect() {
        const found = await snapshot();
        metric.reset();
        for (const [value, count] of Object.entries(found ? counts(found) : {})) metric.inc({ [label]: value }, count);
      },
    });
  };
  counter('daybook_events_total', 'Records read from the log, by event type', 'type', ({ events }) => events);
  counter('daybook_void_events_total', 'Events that changed nothing, by the code of their anomaly', 'code', ({ voids }) => voids);
  counter('daybook_execution_failures_total', 'Failed executions, by cause', 'cause', ({ failures }) => failures);
  counter('daybook_permanent_failures_total', 'Tasks that failed for good, by reason', 'reason', ({ permanentFailures }) => permanentFailures);
  counter('daybook_quarantined_records_total', 'Records that belong to no task', 'reason', ({ quarantined }) => ({ 'no-key': quarantined }));
  latency(registry, 'daybook_accepted_to_dispatched_seconds', 'From the acceptance to the first dispatch', async () => (await snapshot())?.acceptedToDispatched);
  latency(registry, 'daybook_dispatched_to_finished_seconds', 'From the newest dispatch to the end of the task', async () => (await snapshot())?.dispatchedToFinished);
  const up: Gauge = new Gauge({
    name: 'daybook_diary_answers',
    help: '1 when the diary answered this scrape',
    registers: [registry],
    collect: async () => up.set((await snapshot()) ? 1 : 0),
  });
}

/** Calls made while one is under way get its answer. */
function sharedWhilePending<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let pending: Promise<Answer> | null = null;
  return () => {
    pending ??= ask().finally(() => (pending = null));
    return pending;
  };
}

/** A histogram whose buckets were counted elsewhere: prom-client's own would want every single observation. */
function latency(registry: Registry, name: string, help: string, read: () => Promise<LatencySnapshot | undefined>): void {
  const get = async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: histogramValues(name, await read()) });
  registry.registerMetric({ name, help, get } as unknown as Histogram);
}

function histogramValues(name: string, snapshot: LatencySnapshot | undefined) {
  if (!snapshot) return [];
  let below = 0;
  const bucket = (le: number | string, value: number) => ({ labels: { le }, value, metricName: `${name}_bucket` });
  const total = (suffix: string, value: number) => ({ labels: {}, value, metricName: `${name}_${suffix}` });
  return [
    ...latencyBucketsMs.map((boundMs, index) => bucket(boundMs / 1_000, (below += snapshot.buckets[index] ?? 0))),
    bucket('+Inf', snapshot.count),
    total('sum', snapshot.sumMs / 1_000),
    total('count', snapshot.count),
  ];
}

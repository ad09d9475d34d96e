import { Counter, Gauge, Registry, type Histogram } from 'prom-client';
import { latencyBucketsMs, type EventMetricsSnapshot, type LatencySnapshot } from '../diary/event-metrics.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import type { AcceptTask } from '../task-api/accept-task.ts';

/** What the roles of this process count. */
export interface MetricSources {
  readonly acceptTask: AcceptTask | null;
  readonly dispatcher: Dispatcher | null;
  /** Null: no diary here. Rejects while it does not answer; its metrics are left out then. */
  readonly diary: (() => Promise<EventMetricsSnapshot>) | null;
}

/** A registry that asks its sources anew for each scrape. What is said of tasks is counted from events. */
export function metricsRegistry(sources: MetricSources): Registry {
  const registry = new Registry();
  if (sources.acceptTask) addApi(registry, sources.acceptTask);
  if (sources.dispatcher) addDispatcher(registry, sources.dispatcher);
  if (sources.diary) addDiary(registry, sources.diary);
  return registry;
}

function addApi(registry: Registry, { counts }: AcceptTask): void {
  gauge(registry, 'daybook_api_submissions', 'Submissions since the start, by answer', ['answer'], () => [
    ['accepted', counts.accepted],
    ['replayed', counts.replayed],
    ['unavailable', counts.unavailable],
    ...counts.refused,
  ]);
  gauge(registry, 'daybook_api_rejections_not_recorded', 'Rejections beyond the recording limit, since the start', [], () => [['', counts.rejectionsNotRecorded]]);
}

function addDispatcher(registry: Registry, dispatcher: Dispatcher): void {
  gauge(registry, 'daybook_dispatcher_tasks', 'Tasks that the dispatcher knows, by what it keeps of them', ['kept'], () => [
    ['state', dispatcher.gauges.openTasks],
    ['id', dispatcher.gauges.closedTasks],
  ]);
  gauge(registry, 'daybook_dispatcher_outstanding', 'Attempts handed out and without an outcome', [], () => [['', dispatcher.gauges.outstanding]]);
  gauge(registry, 'daybook_dispatcher_unsettled', 'Publishes and appends under way', [], () => [['', dispatcher.gauges.unsettled]]);
}

/** One question to the diary answers all of its metrics: those of one scrape ask at the same time. */
function addDiary(registry: Registry, ask: () => Promise<EventMetricsSnapshot>): void {
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

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => ReadonlyArray<readonly [label: string, value: number]>,
): void {
  const metric: Gauge = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      for (const [label, value] of read()) {
        if (labelNames[0] === undefined) metric.set(value);
        else metric.set({ [labelNames[0]]: label }, value);
      }
    },
  });
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

import type { Registry } from 'prom-client';
import type { Dispatcher } from '../../dispatch/dispatcher.ts';
import { gauge } from './gauge.ts';

export function addDispatcherMetrics(registry: Registry, dispatcher: Dispatcher): void {
  gauge(registry, 'daybook_dispatcher_tasks', 'Tasks that the dispatcher knows, by what it keeps of them', ['kept'], () => [
    ['state', dispatcher.gauges.openTasks],
    ['id', dispatcher.gauges.closedTasks],
  ]);
  gauge(registry, 'daybook_dispatcher_outstanding', 'Attempts handed out and without an outcome', [], () => [['', dispatcher.gauges.outstanding]]);
  gauge(registry, 'daybook_dispatcher_unsettled', 'Publishes and appends under way', [], () => [['', dispatcher.gauges.unsettled]]);
}

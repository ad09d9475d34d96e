import { SystemClock } from '../adapters/system/system-clock.ts';
import { SystemIds } from '../adapters/system/system-ids.ts';
import type { Logger } from '../ports/logger.ts';
import { AcceptTask } from '../task-api/accept-task.ts';
import { TaskCatalog, type CatalogEntry } from '../task-definition/task-catalog.ts';
import { apiRole } from './api.ts';
import type { Config } from './config.ts';
import { hostedAdapter } from './hosted-adapter.ts';
import { startWithHttp } from './http/http-process.ts';
import { addApiMetrics } from './metrics/api-metrics.ts';
import type { ProcessPlan } from './nest-process.ts';
import { PortsModule } from './ports.module.ts';
import type { RunningRole } from './running-role.ts';
import { kafkaAppenderOf } from './wiring/kafka-appender-of.ts';
import { TopicGuard } from './wiring/topic-guard.ts';

/** The api in a process of its own, on Kafka. */
export async function startApi(config: Config, entries: readonly CatalogEntry[], logger: Logger): Promise<RunningRole> {
  const clock = new SystemClock();
  const eventAppender = kafkaAppenderOf(config);
  const ports = PortsModule.of({ eventAppender, clock, ids: new SystemIds(clock), logger });
  const plan: ProcessPlan = {
    modules: [apiRole(ports, config, new TaskCatalog(entries))],
    services: { standing: [hostedAdapter('log', eventAppender), new TopicGuard(config, clock, logger)], provided: [] },
    addMetrics: (registry, context) => addApiMetrics(registry, context.get(AcceptTask, { strict: false })),
    drainSeconds: config.drainSeconds,
    clock,
    logger,
  };
  const { listening, close } = await startWithHttp(plan, config, new Set(['api']));
  return { listening, stop: close };
}

import type { DynamicModule } from '@nestjs/common';
import { KafkaEventReader } from '../adapters/kafka/kafka-event-reader.ts';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { DiaryModule } from '../diary/diary.module.ts';
import type { ProjectionControl } from '../diary/projection-control.ts';
import type { Logger } from '../ports/logger.ts';
import { hostedAdapter } from './hosted-adapter.ts';
import type { Config } from './config.ts';
import { startWithHttp } from './http/http-process.ts';
import { addDiaryMetrics } from './metrics/diary-metrics.ts';
import type { ProcessPlan } from './nest-process.ts';
import { PortsModule } from './ports.module.ts';
import type { RunningRole } from './running-role.ts';
import { kafkaConnectionOf } from './wiring/kafka-connection-of.ts';
import { projectionOf } from './wiring/projection-of.ts';
import { TopicGuard } from './wiring/topic-guard.ts';

/** The diary role: needs readers of the log and of the read model; appends nothing and enqueues nothing. */
export function diaryRole(ports: DynamicModule, projector: ProjectionControl): DynamicModule {
  return DiaryModule.register(ports, projector);
}

/** A diary in a process of its own, on Kafka, with its read model in PostgreSQL or in a SQLite file of its own. */
export async function startDiary(config: Config, logger: Logger): Promise<RunningRole> {
  const clock = new SystemClock();
  const eventReader = new KafkaEventReader({ connection: kafkaConnectionOf(config), topic: config.topic, logger });
  const { projector, projectionReader, knownLogs, services } = projectionOf(config, eventReader, clock, logger);
  const ports = PortsModule.of({ eventReader, projectionReader, clock, logger });
  const plan: ProcessPlan = {
    modules: [diaryRole(ports, projector)],
    services: { standing: [hostedAdapter('log', eventReader), new TopicGuard(config, clock, logger, knownLogs), ...services], provided: [] },
    addMetrics: (registry) => addDiaryMetrics(registry, () => projector.metrics()),
    drainSeconds: config.drainSeconds,
    clock,
    logger,
  };
  const { listening, close } = await startWithHttp(plan, config, new Set(['diary']));
  return { listening, stop: close };
}

import { KafkaEventReader } from '../adapters/kafka/kafka-event-reader.ts';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { Projector } from '../diary/projector.ts';
import type { Logger } from '../ports/logger.ts';
import type { Config } from './config.ts';
import { diaryRole } from './diary.ts';
import { hostedAdapter } from './hosted-adapter.ts';
import { startWithHttp } from './http/http-process.ts';
import { addDiaryMetrics } from './metrics/diary-metrics.ts';
import type { ProcessPlan } from './nest-process.ts';
import { PortsModule } from './ports.module.ts';
import type { RunningRole } from './running-role.ts';
import { kafkaConnectionOf } from './wiring/kafka-connection-of.ts';
import { projectionReaderOf, projectionStoreOf } from './wiring/projection-of.ts';
import { TopicGuard } from './wiring/topic-guard.ts';

/** A diary in a process of its own, on Kafka, with its read model in PostgreSQL or in a SQLite file of its own. */
export async function startDiary(config: Config, logger: Logger): Promise<RunningRole> {
  const clock = new SystemClock();
  const eventReader = new KafkaEventReader({ connection: kafkaConnectionOf(config), topic: config.topic, logger });
  const [store, projectionReader] = [projectionStoreOf(config), projectionReaderOf(config)];
  const projector = new Projector({ reader: eventReader, store, clock, logger });
  const guard = new TopicGuard(config, clock, logger, () => store.knownLogs());
  const ports = PortsModule.of({ eventReader, projectionReader, clock, logger });
  const plan: ProcessPlan = {
    modules: [diaryRole(ports, projector)],
    services: {
      standing: [hostedAdapter('log', eventReader), guard, hostedAdapter('read-model', store), hostedAdapter('questions', projectionReader), projector],
      provided: [],
    },
    addMetrics: (registry) => addDiaryMetrics(registry, () => projector.metrics()),
    drainSeconds: config.drainSeconds,
    clock,
    logger,
  };
  const { listening, close } = await startWithHttp(plan, config, new Set(['diary']));
  return { listening, stop: close };
}

import type { DynamicModule } from '@nestjs/common';
import { KafkaEventAppender } from '../adapters/kafka/kafka-event-appender.ts';
import { KafkaEventReader } from '../adapters/kafka/kafka-event-reader.ts';
import { KafkaPartitionOwnership } from '../adapters/kafka/kafka-partition-ownership.ts';
import { RabbitmqJobSender } from '../adapters/rabbitmq/rabbitmq-job-sender.ts';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { DispatchModule } from '../dispatch/dispatch.module.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import type { Logger } from '../ports/logger.ts';
import { hostedAdapter } from './hosted-adapter.ts';
import type { Config } from './config.ts';
import { startWithHealth } from './http/health-process.ts';
import { addDispatcherMetrics } from './metrics/dispatcher-metrics.ts';
import { PortsModule } from './ports.module.ts';
import { sourceOf } from './roles.ts';
import type { RunningRole } from './running-role.ts';
import { kafkaConnectionOf } from './wiring/kafka-connection-of.ts';
import { TopicGuard } from './wiring/topic-guard.ts';

/** The dispatcher role: needs reader, sender and appender, and neither handlers nor views. */
export function dispatcherRole(ports: DynamicModule, config: Config): DynamicModule {
  return DispatchModule.register(ports, sourceOf('dispatcher'), { window: config.dispatchWindow, repeatUnknownAfterMs: config.sweepMs });
}

/** A dispatcher in a process of its own, on Kafka and RabbitMQ; several share the partitions. */
export async function startDispatcher(config: Config, logger: Logger): Promise<RunningRole> {
  const clock = new SystemClock();
  const { topic } = config;
  const connection = kafkaConnectionOf(config);
  const eventAppender = new KafkaEventAppender({ connection, topic, deadlineMs: config.appendDeadlineMs });
  const eventReader = new KafkaEventReader({ connection, topic, logger });
  const groupId = `daybook-dispatcher-${topic}`;
  const partitionOwnership = new KafkaPartitionOwnership({ connection, topic, groupId, sessionMs: config.sessionMs, clock, logger });
  const jobSender = new RabbitmqJobSender({ url: config.rabbitmqUrl ?? '', topic, name: 'daybook dispatcher', clock, logger });
  const ports = PortsModule.of({ eventAppender, eventReader, partitionOwnership, jobSender, clock, logger });
  const plan = {
    modules: [dispatcherRole(ports, config)],
    services: {
      standing: [hostedAdapter('log', eventAppender), hostedAdapter('reader', eventReader), hostedAdapter('queue', jobSender), new TopicGuard(config, clock, logger)],
      provided: [Dispatcher],
    },
    addMetrics: (registry, context) => addDispatcherMetrics(registry, context.get(Dispatcher, { strict: false })),
    drainSeconds: config.drainSeconds,
    clock,
    logger,
  } satisfies Parameters<typeof startWithHealth>[0];
  const { listening, close } = await startWithHealth(plan, config, new Set(['dispatcher']));
  return { listening, stop: close };
}

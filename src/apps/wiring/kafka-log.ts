import { KafkaEventReader } from '../../adapters/kafka/kafka-event-reader.ts';
import { KafkaPartitionOwnership } from '../../adapters/kafka/kafka-partition-ownership.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Config } from '../config.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import { kafkaAppenderOf } from './kafka-appender-of.ts';
import { kafkaConnectionOf } from './kafka-connection-of.ts';
import type { KnownLogs } from './lost-topic.ts';
import { TopicGuard } from './topic-guard.ts';

/**
 * The log on Kafka, for whoever both reads and writes it: the dispatcher, and processes of several roles.
 * @param knownLogs what the process keeps that was derived from the log
 */
export function kafkaLog(config: Config, clock: Clock, logger: Logger, knownLogs: KnownLogs) {
  const { topic, sessionMs } = config;
  const connection = kafkaConnectionOf(config);
  const eventAppender = kafkaAppenderOf(config);
  const eventReader = new KafkaEventReader({ connection, topic, logger });
  const partitionOwnership = new KafkaPartitionOwnership({ connection, topic, groupId: `daybook-dispatcher-${topic}`, sessionMs, clock, logger });
  const guard = new TopicGuard(config, clock, logger, knownLogs);
  return {
    ports: { eventAppender, eventReader, partitionOwnership },
    services: [hostedAdapter('log', eventAppender), hostedAdapter('reader', eventReader), guard],
    identity: () => guard.identity(),
  };
}

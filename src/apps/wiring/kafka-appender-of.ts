import { KafkaEventAppender } from '../../adapters/kafka/kafka-event-appender.ts';
import type { Config } from '../config.ts';
import { kafkaConnectionOf } from './kafka-connection-of.ts';

/** Writes to the topic that the settings name. */
export function kafkaAppenderOf(config: Config): KafkaEventAppender {
  return new KafkaEventAppender({ connection: kafkaConnectionOf(config), topic: config.topic, deadlineMs: config.appendDeadlineMs });
}

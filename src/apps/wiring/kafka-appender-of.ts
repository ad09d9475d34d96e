import { KafkaEventAppender } from '../../adapters/kafka/kafka-event-appender.ts';
import type { Config } from '../config.ts';
import { kafkaConnectionOf } from './kafka-connection-of.ts';
import { notedTopic } from './noted-topic.ts';

/** Writes to the topic that the settings name, and to no other of its name than the data folder knows. */
export function kafkaAppenderOf(config: Config): KafkaEventAppender {
  const known = notedTopic(config);
  return new KafkaEventAppender({
    connection: kafkaConnectionOf(config),
    topic: config.topic,
    deadlineMs: config.appendDeadlineMs,
    ...(known === null ? {} : { known }),
  });
}

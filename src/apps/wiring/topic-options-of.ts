import type { TopicOptions } from '../../adapters/kafka/kafka-topic.ts';
import type { Config } from '../config.ts';
import { kafkaConnectionOf } from './kafka-connection-of.ts';

/** The topic of the log, and how it is made where it is missing. */
export function topicOptionsOf(config: Config): TopicOptions {
  const { topic, topicPartitions: partitions, topicReplication } = config;
  return { connection: kafkaConnectionOf(config), topic, partitions, ...(topicReplication === null ? {} : { replicas: topicReplication }) };
}

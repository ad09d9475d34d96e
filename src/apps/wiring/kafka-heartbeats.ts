import { KafkaPresenceWriter } from '../../adapters/kafka/kafka-presence-writer.ts';
import type { PresenceTopicOptions } from '../../adapters/kafka/presence-topic.ts';
import type { Config } from '../config.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import { kafkaConnectionOf } from './kafka-connection-of.ts';

const longestDeadlineMs = 4_000;

/** Publishes heartbeats on the presence topic; apart from what hears them, which a worker may not reach. */
export function kafkaHeartbeats(config: Config) {
  const deadlineMs = Math.min(longestDeadlineMs, Math.floor(config.presenceMs / 3));
  const presenceWriter = new KafkaPresenceWriter({ ...presenceTopicOptions(config), deadlineMs });
  return { ports: { presenceWriter }, services: [hostedAdapter('heartbeats', presenceWriter)] };
}

export function presenceTopicOptions(config: Config): PresenceTopicOptions {
  const { topic, topicReplication } = config;
  return { connection: kafkaConnectionOf(config), topic, ...(topicReplication === null ? {} : { replicas: topicReplication }) };
}

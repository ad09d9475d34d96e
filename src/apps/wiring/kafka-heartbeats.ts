import { KafkaPresenceWriter } from '../../adapters/kafka/kafka-presence-writer.ts';
import type { Config } from '../config.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import { topicOptionsOf } from './topic-options-of.ts';

const longestDeadlineMs = 4_000;

/** Publishes heartbeats on the presence topic; apart from what hears them, which a worker may not reach. */
export function kafkaHeartbeats(config: Config) {
  const deadlineMs = Math.min(longestDeadlineMs, Math.floor(config.presenceMs / 3));
  const presenceWriter = new KafkaPresenceWriter({ ...topicOptionsOf(config), deadlineMs });
  return { ports: { presenceWriter }, services: [hostedAdapter('heartbeats', presenceWriter)] };
}

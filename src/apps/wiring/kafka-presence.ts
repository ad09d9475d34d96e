import { KafkaPresenceReader } from '../../adapters/kafka/kafka-presence-reader.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Config } from '../config.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import { topicOptionsOf } from './topic-options-of.ts';

/** Hears the heartbeats on the presence topic; for whoever needs to know which workers are there. */
export function kafkaPresence(config: Config, clock: Clock, logger: Logger) {
  const presenceReader = new KafkaPresenceReader({ ...topicOptionsOf(config), presenceMs: config.presenceMs, clock, logger });
  const health = () => presenceReader.health();
  return { ports: { presenceReader }, services: [hostedAdapter('presence', { health, close: () => presenceReader.stop() })] };
}

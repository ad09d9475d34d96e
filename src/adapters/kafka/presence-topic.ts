import type { KafkaConnection } from './kafka-connection.ts';
import { createTopicWith } from './kafka-topic.ts';

export interface PresenceTopicOptions {
  readonly connection: KafkaConnection;
  /** Of the log; the presence topic is beside it. */
  readonly topic: string;
  /** Of a new presence topic; default: 3, or as many as there are brokers when those are fewer. */
  readonly replicas?: number;
}

export function presenceTopicOf(topic: string): string {
  return `${topic}-presence`;
}

/** About 100,000 held jobs. */
export const maxHeartbeatBytes = 8 * 1024 * 1024;

const hourMs = 3_600_000;

const configs = [
  { name: 'cleanup.policy', value: 'delete' },
  { name: 'retention.ms', value: String(hourMs) },
  // Only what lies in a closed segment is ever deleted, and segments stay open for a week unless told otherwise.
  { name: 'segment.ms', value: String(hourMs / 6) },
  // Nothing is lost with it that the next heartbeat does not make up for: one replica in sync is enough to go on.
  { name: 'min.insync.replicas', value: '1' },
  { name: 'message.timestamp.type', value: 'LogAppendTime' },
  { name: 'max.message.bytes', value: String(maxHeartbeatBytes + 64 * 1024) },
];

/**
 * Creates the topic where it does not exist: one partition, kept for an hour. One that exists is left as it is,
 * for nothing in it is worth a refusal.
 * @throws DaybookError `log-unavailable`: the cluster did not answer, or refused
 */
export async function createPresenceTopic({ connection, topic, replicas }: PresenceTopicOptions): Promise<void> {
  await createTopicWith({ connection, topic: presenceTopicOf(topic), partitions: 1, ...(replicas === undefined ? {} : { replicas }) }, () => configs);
}

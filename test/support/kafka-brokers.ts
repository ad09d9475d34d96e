import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KafkaConnection } from '../../src/adapters/kafka/kafka-connection.ts';
import { brokerOf, brokersFolder, startedBroker } from './brokers.ts';

/** The Kafka that tests run on. Fails, with what to do, when there is none. */
export function kafkaConnection(): KafkaConnection {
  return { brokers: brokerOf('DAYBOOK_KAFKA_BROKERS').split(',') };
}

/**
 * The folder that holds the files of the one broker which `make brokers` started on this machine; undefined when the
 * tests run on another Kafka, or on one of several nodes.
 */
export function brokerFiles(): string | undefined {
  const node = join(fileURLToPath(brokersFolder), 'kafka', 'one-node', 'node-1');
  return kafkaConnection().brokers.join(',') === startedBroker('DAYBOOK_KAFKA_BROKERS') && existsSync(join(node, 'kafka.pid')) ? join(node, 'data') : undefined;
}

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KafkaConnection } from '../../src/adapters/kafka/kafka-connection.ts';

const brokersFolder = fileURLToPath(new URL('../../.brokers', import.meta.url));

/** The Kafka that tests run on. Fails, with what to do, when there is none. */
export function kafkaConnection(): KafkaConnection {
  const brokers = process.env['DAYBOOK_KAFKA_BROKERS'] ?? brokersOfMake();
  if (!brokers) throw new Error('These tests need a Kafka: run `make brokers`, or name one in DAYBOOK_KAFKA_BROKERS');
  return { brokers: brokers.split(',') };
}

/**
 * The folder that holds the files of the one broker which `make brokers` started on this machine; undefined when the
 * tests run on another Kafka, or on one of several nodes.
 */
export function brokerFiles(): string | undefined {
  const node = join(brokersFolder, 'kafka', 'one-node', 'node-1');
  return kafkaConnection().brokers.join(',') === brokersOfMake() && existsSync(join(node, 'kafka.pid')) ? join(node, 'data') : undefined;
}

function brokersOfMake(): string | undefined {
  const file = join(brokersFolder, 'env');
  return existsSync(file) ? /^DAYBOOK_KAFKA_BROKERS=(.+)$/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
}

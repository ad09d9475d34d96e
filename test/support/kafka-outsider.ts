import { Producer } from '@platformatic/kafka';
import { clientOptions, closeClient, hearErrors, type KafkaConnection } from '../../src/adapters/kafka/kafka-connection.ts';
import { eventually } from './eventually.ts';

/**
 * Writes to a topic as a program would that does not know Daybook, with a client and a connection of its own for each
 * try. Resolves with the time (`performance.now`) at which the first record was acknowledged by every in-sync replica.
 */
export function firstAcknowledged(connection: KafkaConnection, topic: string, timeoutMs: number): Promise<number> {
  return eventually(async () => {
    const limits = { retries: 0, connectTimeout: 500, requestTimeout: 500, timeout: 400 };
    const producer = new Producer({ ...clientOptions(connection), autocreateTopics: false, ...limits });
    hearErrors(producer.connections);
    try {
      await producer.send({ messages: [{ topic, partition: 0, value: Buffer.from('from outside') }], acks: -1 });
      return performance.now();
    } finally {
      await closeClient(producer);
    }
  }, { timeoutMs });
}

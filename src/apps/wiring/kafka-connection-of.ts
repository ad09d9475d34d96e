import type { KafkaConnection } from '../../adapters/kafka/kafka-connection.ts';
import type { Config } from '../config.ts';

/** How the settings reach Kafka. Only where `kafkaBrokers` is set. */
export function kafkaConnectionOf(config: Config): KafkaConnection {
  const { kafkaBrokers, kafkaTls, kafkaCaFile, kafkaSasl, kafkaUsername, kafkaPassword } = config;
  return {
    brokers: kafkaBrokers ?? [],
    clientId: 'daybook',
    tls: kafkaTls,
    ...(kafkaCaFile === null ? {} : { caFile: kafkaCaFile }),
    ...(kafkaSasl === null ? {} : { sasl: kafkaSasl }),
    ...(kafkaUsername === null ? {} : { username: kafkaUsername }),
    ...(kafkaPassword === null ? {} : { password: kafkaPassword }),
  };
}

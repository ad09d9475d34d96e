import { eventLogContract } from '../../../test/contracts/event-log.contract.ts';
import { brokerFiles } from '../../../test/support/kafka-brokers.ts';
import { kafkaEventLogHarness } from '../../../test/support/kafka-harness.ts';

const elsewhere = 'a record is damaged in the file of the one broker that `make brokers` starts';

eventLogContract({ name: 'Kafka', create: kafkaEventLogHarness, missing: brokerFiles() ? {} : { corruption: elsewhere } });

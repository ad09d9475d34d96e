import { randomUUID } from 'node:crypto';
import { Admin, Consumer, Producer } from '@platformatic/kafka';

const topic = 'brokers-check';

/**
 * Proves that a cluster works: all its brokers are known, all replicas of a topic of one partition per broker are in
 * sync, and each partition acknowledges a record on all of them and gives it back. An open port or a list of brokers
 * proves none of this. The topic keeps its records for an hour. Rejects with what is not so yet.
 */
export async function kafkaRoundTrip(addresses) {
  const limits = { connectTimeout: 1_000, requestTimeout: 3_000, timeout: 2_000, retries: 0 };
  const options = { clientId: 'brokers-check', bootstrapBrokers: addresses, autocreateTopics: false, ...limits };
  const admin = new Admin(options);
  const producer = new Producer(options);
  const consumer = new Consumer({ ...options, groupId: 'brokers-check' });
  try {
    const { id, partitions } = await topicInSync(admin, addresses.length);
    for (const [partition, { leader }] of partitions.entries()) {
      const value = Buffer.from(randomUUID());
      const { offsets } = await producer.send({ messages: [{ topic, partition, value }], acks: -1 });
      await assertRecordIsThere(consumer, { id, partition, leader, offset: offsets[0].offset, value });
    }
  } finally {
    await Promise.allSettled([admin, producer, consumer].map((client) => client.close()));
  }
}

async function topicInSync(admin, brokers) {
  const cluster = await admin.metadata({ topics: [], forceUpdate: true });
  if (cluster.brokers.size !== brokers) throw new Error(`${cluster.brokers.size} of ${brokers} brokers are registered`);
  if (!(await admin.listTopics()).includes(topic)) {
    await admin.createTopics({
      topics: [topic], partitions: brokers, replicas: brokers,
      configs: [{ name: 'retention.ms', value: '3600000' }, { name: 'segment.bytes', value: '1048576' }],
    });
  }
  const found = (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic);
  const behind = found.partitions.findIndex(({ leader, isr }) => leader < 0 || isr.length < brokers);
  if (behind >= 0) throw new Error(`partition ${behind} of ${topic} has ${found.partitions[behind].isr.length} of ${brokers} replicas in sync`);
  return found;
}

async function assertRecordIsThere(consumer, { id, partition, leader, offset, value }) {
  consumer.topics.track(topic);
  const answer = await consumer.fetch({
    node: leader, minBytes: 1, maxBytes: 65_536, maxWaitTime: 1_000,
    topics: [{ topicId: id, partitions: [{ partition, currentLeaderEpoch: -1, fetchOffset: offset, lastFetchedEpoch: -1, partitionMaxBytes: 65_536 }] }],
  });
  const records = (answer.responses[0]?.partitions[0]?.records ?? []).flatMap((batch) => batch.records);
  if (!records.some((record) => value.equals(record.value))) throw new Error(`partition ${partition} did not give back the record at offset ${offset}`);
}

// What the Kafka client can do by itself: records of the size of an event, 64 awaited at a time, sent together, as many
// as a busy appender sends. Started by run.mjs with {tasks, settings, servers}; sends back its measures.
import { Admin, ProduceAcks, Producer } from '@platformatic/kafka';
import { processCpu } from './machine.mjs';
import { cpuSince, serversCpu } from './servers.mjs';
import { inFlight, nowMs, warmUpTasks } from './workload.mjs';

const { tasks, settings, servers } = JSON.parse(process.argv[2]);
const { topic, topicPartitions } = settings;
const client = { clientId: 'daybook-bench', bootstrapBrokers: settings.kafkaBrokers.split(',') };
const eventBytes = 700;

const admin = new Admin(client);
await admin.createTopics({ topics: [topic], partitions: topicPartitions, replicas: 1 });
await admin.close();
const producer = new Producer({ ...client, acks: ProduceAcks.ALL, idempotent: true });

await produce(warmUpTasks);
const before = { own: processCpu(), servers: serversCpu(servers) };
const samples = await produce(tasks);
const cpuMs = { client: processCpu() - before.own, ...cpuSince(before.servers, serversCpu(servers)) };
await producer.close();
process.send({ samples, cpuMs, visibleMs: null, executions: tasks }, () => process.disconnect());

async function produce(count) {
  const samples = [];
  const value = Buffer.alloc(eventBytes, 'x');
  for (let number = 0; number < count; number += inFlight) {
    const startMs = nowMs();
    const ids = Array.from({ length: Math.min(inFlight, count - number) }, (_, index) => String(number + index));
    await producer.send({ messages: ids.map((id, index) => ({ topic, key: Buffer.from(id), value, partition: index % topicPartitions })) });
    const endMs = nowMs();
    for (const id of ids) samples.push({ id, startMs, endMs, completedMs: endMs });
  }
  return samples;
}

// What RabbitMQ can do by itself: each job published to a quorum queue, confirmed, delivered and acknowledged, 64 of
// them unconfirmed at a time. Started by run.mjs with {tasks, settings, servers}; sends back its measures.
import amqp from 'amqplib';
import { processCpu } from './machine.mjs';
import { cpuSince, serversCpu } from './servers.mjs';
import { concurrency, nowMs, submitInFlight, until, warmUpTasks } from './workload.mjs';

const { tasks, settings, servers } = JSON.parse(process.argv[2]);
const queue = `daybook.${settings.topic}.default.v1`;
const jobBytes = 400;

const connections = await Promise.all([amqp.connect(settings.rabbitmqUrl), amqp.connect(settings.rabbitmqUrl)]);
const publisher = await connections[0].createConfirmChannel();
const consumer = await connections[1].createChannel();
await consumer.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
await consumer.prefetch(4 * concurrency);
const ackedMs = new Map();
await consumer.consume(queue, (message) => {
  consumer.ack(message);
  ackedMs.set(message.properties.messageId, nowMs());
});

let published = 0;
const body = Buffer.alloc(jobBytes, 'x');
const publish = () => {
  const id = String(published++);
  return new Promise((resolve, reject) => {
    publisher.sendToQueue(queue, body, { persistent: true, messageId: id }, (error) => (error ? reject(error) : resolve(id)));
  });
};

await submitInFlight(publish, warmUpTasks);
await until(() => ackedMs.size === warmUpTasks, 'the warm-up to be acknowledged');
const before = { own: processCpu(), servers: serversCpu(servers) };
const samples = await submitInFlight(publish, tasks);
await until(() => ackedMs.size === warmUpTasks + tasks, 'every job to be acknowledged');
const cpuMs = { client: processCpu() - before.own, ...cpuSince(before.servers, serversCpu(servers)) };
await Promise.all(connections.map((connection) => connection.close()));
process.send({ samples: samples.map((sample) => ({ ...sample, completedMs: ackedMs.get(sample.id) })), cpuMs, visibleMs: null, executions: tasks }, () => process.disconnect());

// One run of the workload on BullMQ, as its users call it: queue and worker in one process, finished jobs removed.
// Started by run.mjs with {tasks, redisPort}; sends back its measures.
import { Queue, Worker } from 'bullmq';
import { processCpu } from './machine.mjs';
import { concurrency, nowMs, payloadOf, submitInFlight, until, warmUpTasks } from './workload.mjs';

const { tasks, redisPort, redisPid } = JSON.parse(process.argv[2]);
const connection = { host: '127.0.0.1', port: redisPort };
const queueName = `bench-${process.pid}`;

let executions = 0;
const completedMs = new Map();

const queue = new Queue(queueName, { connection, defaultJobOptions: { removeOnComplete: true } });
const worker = new Worker(queueName, async () => void executions++, { connection, concurrency });
// Emitted once Redis has acknowledged the move to `completed`.
worker.on('completed', (job) => completedMs.set(job.id, nowMs()));
worker.on('error', (error) => {
  throw error;
});
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);

const submit = async (number) => (await queue.add('noop', payloadOf(number))).id;

await submitInFlight(submit, warmUpTasks);
await until(() => completedMs.size === warmUpTasks, 'the warm-up to complete');

const before = { own: processCpu(), redis: processCpu(redisPid) };
const samples = await submitInFlight(submit, tasks);
await until(() => completedMs.size === warmUpTasks + tasks, 'every job to complete');
const after = { own: processCpu(), redis: processCpu(redisPid) };

const cpuMs = { 'queue and worker': after.own - before.own, redis: after.redis - before.redis };
const measured = samples.map((sample) => ({ ...sample, completedMs: completedMs.get(sample.id) }));
await worker.close();
await queue.obliterate({ force: true });
await queue.close();
process.send({ samples: measured, cpuMs, executions: executions - warmUpTasks, visibleMs: null }, () => process.disconnect());

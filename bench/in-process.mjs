// One run of the workload on Daybook inside this process, as its users call it: startDaybook() with the embedded log.
// Started by run.mjs with {tasks, dataDir, steady}; sends back its measures. When tasks completed stands in the log.
import { startDaybook } from '../dist/index.js';
import { processCpu } from './machine.mjs';
import handlers, { executions, noop } from './noop-task.mjs';
import { waitUntilVisible } from './visible.mjs';
import { concurrency, nowMs, payloadOf, steadyPerSecond, submitInFlight, submitSteadily, warmUpTasks } from './workload.mjs';

const { tasks, dataDir, steady } = JSON.parse(process.argv[2]);
const daybook = await startDaybook({ tasks: handlers, dataDir, http: false, workerConcurrency: concurrency });

const submit = async (number) => (await daybook.submit(noop, payloadOf(number))).id;
const stateOf = async (id) => (await daybook.get(id)).state;

await waitUntilVisible(await submitInFlight(submit, warmUpTasks), stateOf);

const before = { cpuMs: processCpu(), executions };
const samples = steady ? await submitSteadily(submit, tasks, steadyPerSecond) : await submitInFlight(submit, tasks);
await waitUntilVisible(samples, stateOf);
const visibleMs = nowMs();
const cpuMs = { 'one process': processCpu() - before.cpuMs };

await daybook.stop();
process.send({ samples, cpuMs, visibleMs, executions: executions - before.executions }, () => process.disconnect());

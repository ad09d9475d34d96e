// One run of the workload on Daybook inside this process, as its users call it: startDaybook(), on the embedded log or
// on the servers that the settings name. Started by run.mjs with {tasks, settings, servers, steady}; sends back its measures. When tasks completed stands in the log.
import { startDaybook } from '../dist/index.js';
import { processCpu } from './machine.mjs';
import handlers, { executions, noop } from './noop-task.mjs';
import { cpuSince, serversCpu } from './servers.mjs';
import { waitUntilVisible } from './visible.mjs';
import { concurrency, nowMs, payloadOf, steadyPerSecond, submitInFlight, submitSteadily, warmUpTasks } from './workload.mjs';

const { tasks, settings, servers, steady } = JSON.parse(process.argv[2]);
const daybook = await startDaybook({ tasks: handlers, ...settings, http: false, workerConcurrency: concurrency });

const submit = async (number) => (await daybook.submit(noop, payloadOf(number))).id;
const stateOf = async (id) => (await daybook.get(id)).state;

await waitUntilVisible(await submitInFlight(submit, warmUpTasks), stateOf);

const before = { cpuMs: processCpu(), servers: serversCpu(servers), executions };
const samples = steady ? await submitSteadily(submit, tasks, steadyPerSecond) : await submitInFlight(submit, tasks);
await waitUntilVisible(samples, stateOf);
const visibleMs = nowMs();
const cpuMs = { 'one process': processCpu() - before.cpuMs, ...cpuSince(before.servers, serversCpu(servers)) };

await daybook.stop();
process.send({ samples, cpuMs, visibleMs, executions: executions - before.executions }, () => process.disconnect());

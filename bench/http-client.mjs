// The client of the HTTP case, in a process of its own: one POST /v1/tasks per task over connections that stay open.
// Started by run.mjs with {tasks, url, serverPid, servers}; sends back its measures. When tasks completed stands in the log.
import { Agent, request } from 'node:http';
import { processCpu } from './machine.mjs';
import { cpuSince, serversCpu } from './servers.mjs';
import { waitUntilVisible } from './visible.mjs';
import { inFlight, nowMs, payloadOf, submitInFlight, warmUpTasks } from './workload.mjs';

const { tasks, url, serverPid, servers } = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: inFlight });

function call(method, path, status, body) {
  const content = body === undefined ? undefined : JSON.stringify(body);
  const headers = content === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) };
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, url), { method, agent, headers }, async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        if (response.statusCode !== status) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
        resolve(JSON.parse(text));
      } catch (error) {
        reject(error);
      }
    });
    sent.once('error', reject);
    sent.end(content);
  });
}

const submit = async (number) => (await call('POST', '/v1/tasks', 202, { type: 'bench.noop', payload: payloadOf(number) })).id;
const stateOf = async (id) => (await call('GET', `/v1/tasks/${id}`, 200)).state;

await waitUntilVisible(await submitInFlight(submit, warmUpTasks), stateOf);

const before = { own: processCpu(), server: processCpu(serverPid), servers: serversCpu(servers) };
const samples = await submitInFlight(submit, tasks);
await waitUntilVisible(samples, stateOf);
const visibleMs = nowMs();
const cpuMs = { server: processCpu(serverPid) - before.server, client: processCpu() - before.own, ...cpuSince(before.servers, serversCpu(servers)) };

agent.destroy();
process.send({ samples, cpuMs, visibleMs, warmUp: warmUpTasks }, () => process.disconnect());

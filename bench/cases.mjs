// The cases of the benchmark. Each runs in fresh processes on a fresh data folder and gives measured samples.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readHistory } from './history.mjs';
import { inEnvironment, runScript, startRedis, startServer } from './processes.mjs';
import { findServers, newNames, removeNames } from './servers.mjs';
import { concurrency, steadyPerSecond } from './workload.mjs';

const steadySeconds = 20;

/** Settings of the two ways to run on brokers. */
const lean = { claimsUrl: 'none', topicPartitions: 4 };
const byDefault = { topicPartitions: 12 };

/**
 * `run({tasks, folder})` gives `{samples: [{id, startMs, endMs, completedMs}], cpuMs: {process: ms}, visibleMs, executions}`
 * (times in epoch milliseconds) or throws. `needs`: what must be there for it.
 */
export const cases = {
  'in-process': { title: 'Daybook in process', run: (options) => inProcess(options) },
  http: { title: 'Daybook by HTTP', run: (options) => overHttp(options) },
  steady: { title: `Daybook in process, ${steadyPerSecond}/s`, run: (options) => inProcess({ ...options, steady: true }) },
  brokers: { title: 'on brokers, in process', needs: 'brokers', run: (options) => onBrokers(byDefault, inProcess, options) },
  'brokers-lean': { title: '… 4 partitions, no claims', needs: 'brokers', run: (options) => onBrokers(lean, inProcess, options) },
  'brokers-http': { title: 'on brokers, by HTTP', needs: 'brokers', run: (options) => onBrokers(byDefault, overHttp, options) },
  'brokers-steady': {
    title: `on brokers, in process, ${steadyPerSecond}/s`,
    needs: 'brokers',
    run: (options) => onBrokers(byDefault, inProcess, { ...options, steady: true }),
  },
  kafka: { title: 'Kafka alone, produced', needs: 'brokers', run: (options) => onBrokers(byDefault, raw('raw-kafka.mjs'), options) },
  rabbitmq: { title: 'RabbitMQ alone, acknowledged', needs: 'brokers', run: (options) => onBrokers(byDefault, raw('raw-rabbitmq.mjs'), options) },
  bullmq: { title: 'BullMQ + Redis', needs: 'redis', run: bullmq },
};

async function inProcess({ tasks: most, folder, steady = false, settings = {}, servers = null }) {
  const tasks = steady ? Math.min(most, steadySeconds * steadyPerSecond) : most;
  const ownSettings = { dataDir: join(folder, 'data'), ...settings };
  const measured = await runScript('in-process.mjs', { tasks, settings: ownSettings, servers, steady });
  return checked(tasks, { ...measured, samples: await readHistory(ownSettings, measured.samples) });
}

async function overHttp({ tasks, folder, settings = {}, servers = null }) {
  const ownSettings = { dataDir: join(folder, 'data'), ...settings };
  const executionsFile = join(folder, 'executions');
  const server = await startServer({
    ...inEnvironment(ownSettings),
    DAYBOOK_TASKS: fileURLToPath(new URL('noop-task.mjs', import.meta.url)),
    DAYBOOK_WORKER_CONCURRENCY: String(concurrency),
    BENCH_EXECUTIONS_FILE: executionsFile,
  });
  let measured;
  try {
    measured = await runScript('http-client.mjs', { tasks, url: server.url, serverPid: server.pid, servers });
  } finally {
    await server.stop();
  }
  const executions = Number(readFileSync(executionsFile, 'utf8')) - measured.warmUp;
  return checked(tasks, { ...measured, executions, samples: await readHistory(ownSettings, measured.samples) });
}

function raw(script) {
  return async ({ tasks, settings, servers }) => checked(tasks, await runScript(script, { tasks, settings, servers }));
}

/** With a topic, queues and a schema of the run's own. */
async function onBrokers(settings, run, options) {
  const servers = findServers();
  const names = newNames();
  const { kafkaBrokers, rabbitmqUrl, postgresUrl } = servers;
  try {
    return await run({ ...options, settings: { kafkaBrokers, rabbitmqUrl, postgresUrl, ...names, ...settings }, servers });
  } finally {
    await removeNames(servers, names);
  }
}

async function bullmq({ tasks, folder }) {
  const redis = await startRedis(folder);
  try {
    return checked(tasks, await runScript('bullmq.mjs', { tasks, redisPort: redis.port, redisPid: redis.pid }));
  } finally {
    await redis.stop();
  }
}

/** A fast run that lost or repeated a task is no result. */
function checked(tasks, result) {
  const completed = result.samples.filter(({ completedMs }) => Number.isFinite(completedMs)).length;
  const ids = new Set(result.samples.map(({ id }) => id)).size;
  if (ids !== tasks || completed !== tasks) throw new Error(`${tasks} tasks submitted, ${ids} ids given, ${completed} completed`);
  if (result.executions !== tasks) throw new Error(`${tasks} tasks submitted, the handler ran ${result.executions} times`);
  return result;
}

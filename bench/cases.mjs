// The cases of the benchmark. Each runs in fresh processes on a fresh data folder and gives measured samples.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readHistory } from './history.mjs';
import { runScript, startRedis, startServer } from './processes.mjs';
import { concurrency, steadyPerSecond } from './workload.mjs';

const steadySeconds = 20;

/**
 * `run({tasks, folder})` gives `{samples: [{id, startMs, endMs, completedMs}], cpuMs: {process: ms}, visibleMs, executions}`
 * (times in epoch milliseconds) or throws.
 */
export const cases = {
  'in-process': { title: 'Daybook in process', run: (options) => inProcess({ ...options, steady: false }) },
  http: { title: 'Daybook by HTTP', run: overHttp },
  bullmq: { title: 'BullMQ + Redis', run: bullmq },
  steady: {
    title: `Daybook in process, ${steadyPerSecond}/s`,
    run: ({ tasks, folder }) => inProcess({ tasks: Math.min(tasks, steadySeconds * steadyPerSecond), folder, steady: true }),
  },
};

async function inProcess({ tasks, folder, steady }) {
  const dataDir = join(folder, 'data');
  const measured = await runScript('in-process.mjs', { tasks, dataDir, steady });
  return checked(tasks, { ...measured, samples: await readHistory(dataDir, measured.samples) });
}

async function overHttp({ tasks, folder }) {
  const dataDir = join(folder, 'data');
  const executionsFile = join(folder, 'executions');
  const server = await startServer({
    DAYBOOK_DATA_DIR: dataDir,
    DAYBOOK_TASKS: fileURLToPath(new URL('noop-task.mjs', import.meta.url)),
    DAYBOOK_WORKER_CONCURRENCY: String(concurrency),
    BENCH_EXECUTIONS_FILE: executionsFile,
  });
  let measured;
  try {
    measured = await runScript('http-client.mjs', { tasks, url: server.url, serverPid: server.pid });
  } finally {
    await server.stop();
  }
  const executions = Number(readFileSync(executionsFile, 'utf8')) - measured.warmUp;
  return checked(tasks, { ...measured, executions, samples: await readHistory(dataDir, measured.samples) });
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

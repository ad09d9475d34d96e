// Starts the processes of a run and sees to it that none outlives it.
import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from './machine.mjs';
import { until } from './workload.mjs';

const benchFolder = fileURLToPath(new URL('.', import.meta.url));
const daybookCommand = fileURLToPath(new URL('../bin/daybook', import.meta.url));
const caseLimitMs = 120_000;
const errorTextKept = 4_096;

const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Runs one of the scripts beside this file in a process of its own and gives what it sends back. */
export async function runScript(name, options) {
  const child = fork(`${benchFolder}${name}`, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'], env: environment() });
  const ended = follow(child, name);
  const limit = setTimeout(() => child.kill('SIGKILL'), caseLimitMs);
  let answer;
  child.once('message', (message) => (answer = message));
  await ended.finally(() => clearTimeout(limit));
  if (answer === undefined) throw new Error(`${name} ended without a result`);
  return answer;
}

/** Starts `bin/daybook` with nothing but the given settings; `ended` resolves when it exits with 0 and rejects else. */
export function startDaybookCommand(args, settings) {
  const child = spawn(daybookCommand, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(settings) });
  return { child, ended: follow(child, `daybook ${args.join(' ')}`) };
}

/** A Daybook server, once it is ready. */
export async function startServer(settings) {
  const { child, ended } = startDaybookCommand(['start'], { DAYBOOK_PORT: '0', ...settings });
  const ready = once(createInterface({ input: child.stdout }), 'line');
  const [line] = await Promise.race([ready, ended.then(() => { throw new Error('daybook start ended before it was ready'); })]);
  const { port, pid } = JSON.parse(line);
  return { url: `http://127.0.0.1:${port}`, pid, stop: () => stop(child, ended) };
}

/** The installed Redis as `redis-server --version` calls it, or null. */
export function redisVersion() {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return /v=(\S+)/.exec(stdout ?? '')?.[1] ?? null;
}

/** A Redis that keeps nothing on disk: its fastest setting, so the comparison favours the other side. */
export async function startRedis(folder) {
  const port = await freePort();
  const args = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'no', '--save', ''];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = follow(child, 'redis-server');
  await Promise.race([until(() => accepts(port), 'Redis to accept connections', 10_000), ended]);
  return { port, pid: child.pid, stop: () => stop(child, ended) };
}

/** Installs what only the benchmark needs, when it is missing or was changed. */
export function installComparison() {
  const lockfile = `${benchFolder}package-lock.json`;
  const mark = `${benchFolder}node_modules/.installed`;
  if (existsSync(mark) && statSync(mark).mtimeMs >= statSync(lockfile).mtimeMs) return;
  console.log('installing BullMQ into bench/node_modules …');
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--silent'], { cwd: benchFolder, stdio: 'inherit' });
  if (status !== 0) throw new Error('npm ci in bench/ failed: check the network, or leave BullMQ out with --only in-process,http,steady');
  writeFileSync(mark, '');
}

/** Resolves when the child exits with 0; rejects else, with the end of what it wrote to stderr. */
function follow(child, name) {
  running.add(child);
  let errorText = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errorText = (errorText + text).slice(-errorTextKept)));
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      running.delete(child);
      if (code === 0) resolve();
      else reject(new Error(`${name} ended with ${signal ?? code}\n${errorText}`));
    });
  });
  // Whoever awaits it still sees the failure; nobody awaiting it yet must not end the run by itself.
  ended.catch(() => {});
  return ended;
}

async function stop(child, ended) {
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended.finally(() => clearTimeout(limit));
}

/** Settings of `startDaybook()` as variables: `topicPartitions` is `DAYBOOK_TOPIC_PARTITIONS`. */
export function inEnvironment(settings) {
  const variable = (name) => `DAYBOOK_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [variable(name), String(value)]));
}

/** The environment without settings of Daybook, which would change what is measured. */
function environment(settings = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DAYBOOK_'));
  return { ...Object.fromEntries(inherited), ...settings };
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(socket.destroy() !== null)).once('error', () => resolve(false));
  });
}

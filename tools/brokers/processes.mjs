// Server processes that outlive the command that started them. Each has a folder of its own holding its pid file and its
// log, and each is started so that this folder stands in its command line. A signal is sent only to a pid whose command
// line still holds the folder: after a reboot or a crash the number in a pid file may belong to a stranger.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { BrokersError } from './brokers-error.mjs';
import { waitUntil } from './wait-until.mjs';

/** `{ name, folder, pidFile, logFile }`; `name` is for messages and file names. */
export function serverProcess(name, folder) {
  return { name, folder, pidFile: join(folder, `${name}.pid`), logFile: join(folder, `${name}.log`) };
}

/** The pid of the running process, or null where none of ours runs. */
export function runningPid(server) {
  const pid = Number(readOrEmpty(server.pidFile));
  if (!Number.isInteger(pid) || pid <= 1) return null;
  // Empty for a zombie, absent for a dead process.
  return readOrEmpty(`/proc/${pid}/cmdline`).includes(server.folder) ? pid : null;
}

/**
 * Starts a process in a session of its own, its output going to the server's log; the log of the run before is kept
 * beside it. A crash between the start and the writing of the pid file leaves a process that the next start reports
 * as a taken port.
 */
export function startProcess(server, [command, ...args], environment = {}) {
  mkdirSync(server.folder, { recursive: true });
  if (readOrEmpty(server.logFile) !== '') renameSync(server.logFile, `${server.logFile}.before`);
  const log = openSync(server.logFile, 'a', 0o640);
  const child = spawn(command, args, { cwd: server.folder, env: { ...process.env, ...environment }, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.once('error', (error) => writeFileSync(server.logFile, `${error.message}\n`, { flag: 'a' }));
  child.unref();
  if (child.pid !== undefined) writeFileSync(server.pidFile, `${child.pid}\n`);
}

/** Ends the process by `signal`, by SIGKILL after `limitMs`, and removes its pid file. Does nothing where it does not run. */
export async function stopProcess(server, { signal = 'SIGTERM', limitMs = 30_000 } = {}) {
  const pid = runningPid(server);
  if (pid !== null) {
    process.kill(pid, signal);
    wake(server); // a frozen process would keep the signal for later
    const isGone = async () => {
      if (runningPid(server) === pid) throw new Error(`${server.name} still runs`);
    };
    await waitUntil(isGone, { limitMs, everyMs: 50 }).catch(async () => {
      if (runningPid(server) === pid) process.kill(pid, 'SIGKILL');
      await waitUntil(isGone, { limitMs: 5_000, everyMs: 50 });
    });
  }
  rmSync(server.pidFile, { force: true });
}

/** Lets a process go on that something froze by SIGSTOP; no effect on others. */
export function wake(server) {
  const pid = runningPid(server);
  if (pid !== null) process.kill(pid, 'SIGCONT');
}

/** Throws where another program listens on the port, naming the setting that chooses a different one. */
export async function assertPortIsFree(port, setting) {
  const taken = await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(true) : reject(error)));
    probe.listen({ port, host: '127.0.0.1' }, () => probe.close(() => resolve(false)));
  });
  if (taken) throw new BrokersError(`Port ${port} is taken by another program; choose another by ${setting}.`);
}

/**
 * Waits for the round trip that proves a broker ready; throws with the last lines of the logs where it does not come
 * within `limitMs`, or where a process ends before that. For `restartsMs` an ended process is no failure: `roundTrip`
 * starts it again.
 */
export async function waitForReadiness(name, servers, roundTrip, { limitMs, restartsMs = 0 }) {
  const ended = () => servers.filter((server) => runningPid(server) === null);
  const start = performance.now();
  const isHopeless = () => ended().length > 0 && performance.now() - start >= restartsMs;
  try {
    return await waitUntil(roundTrip, { limitMs, isHopeless });
  } catch (error) {
    const cause = ended().length > 0 ? 'its process ended' : `no round trip within ${limitMs / 1000} s`;
    const logs = (ended().length > 0 ? ended() : servers).map(({ logFile }) => {
      const file = readOrEmpty(logFile) === '' ? `${logFile}.before` : logFile; // empty: started again a moment ago
      return `Last lines of ${file}:\n${lastLines(file)}`;
    });
    throw new BrokersError([`${name} did not come up: ${cause} (${error.message || error.code}).`, ...logs].join('\n'), { cause: error });
  }
}

export function lastLines(file, count = 15) {
  return readOrEmpty(file).trimEnd().split('\n').slice(-count).map((line) => `  ${line}`).join('\n');
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // ESRCH: a process that ended between the opening and the reading of its file in /proc.
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return '';
    throw error;
  }
}

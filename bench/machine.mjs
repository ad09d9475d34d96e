// What the operating system knows: CPU time of processes, the disk's speed, a free port.
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { arch, cpus, platform } from 'node:os';
import { join } from 'node:path';

/** Milliseconds per tick of /proc: the kernel's USER_HZ is 100 on every platform that Node runs on. */
const tickMs = 10;

/** CPU time that a process (default: this one, all threads) has used, in milliseconds; NaN where /proc is missing. */
export function processCpu(pid = process.pid) {
  if (pid === process.pid) {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  }
  if (platform() !== 'linux') return NaN;
  const fields = statOf(pid);
  if (fields === null) throw new Error(`process ${pid} has ended`);
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** CPU time of a process and of all children that it has or had, in milliseconds: for servers of many processes. */
export function cpuOfFamily(pid) {
  if (platform() !== 'linux') return NaN;
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && statOf(name)?.[1] === String(pid));
  const reaped = statOf(pid) ?? [];
  return processCpu(pid) + (Number(reaped[13]) + Number(reaped[14])) * tickMs + children.reduce((sum, child) => sum + (statOf(child) ? processCpu(child) : 0), 0);
}

/** The fields of /proc/<pid>/stat from the state on; null when the process has ended. */
function statOf(pid) {
  try {
    // The command's name stands in brackets and may hold spaces: count the fields from behind it.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  } catch {
    return null;
  }
}

/** Median milliseconds of appending 4 KiB to a file in `folder` and syncing it: what every commit waits for. */
export function fsyncMs(folder) {
  const file = join(folder, 'fsync-probe');
  const descriptor = openSync(file, 'w');
  const page = Buffer.alloc(4_096, 1);
  const times = [];
  for (let round = 0; round < 100; round++) {
    const startMs = performance.now();
    writeSync(descriptor, page);
    fsyncSync(descriptor);
    times.push(performance.now() - startMs);
  }
  closeSync(descriptor);
  rmSync(file);
  return times.sort((a, b) => a - b)[50];
}

/** Whether the folder lies in memory, where syncing costs nothing and numbers mean little. */
export function isInMemory(folder) {
  const tmpfs = 0x01021994;
  return platform() === 'linux' && statfsSync(folder).type === tmpfs;
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function describeMachine() {
  const processors = cpus();
  return `${platform()} ${arch()}, ${processors.length} × ${processors[0]?.model.trim() ?? 'CPU'}, Node ${process.versions.node}`;
}

// What the operating system knows: CPU time of processes, the disk's speed, a free port.
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
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
  // The command's name stands in brackets and may hold spaces: count the fields from behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
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

import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bin } from './daybook-process.ts';

/** Ways to a mount of one's own that ends with the process: as root, and as anybody where the kernel allows it. */
const namespaces: ReadonlyArray<readonly [file: string, ...args: string[]]> = [
  ['unshare', '--mount'],
  ['unshare', '--user', '--map-root-user', '--mount'],
];

/**
 * The command that starts a Daybook whose folder is on a disk of so many bytes: a tmpfs in a mount namespace of its
 * own, which goes away with the process. The process keeps its pid: every step becomes the next one.
 * @throws where neither root nor user namespaces are to be had, with what to do
 */
export function commandOnSmallDisk(folder: string, bytes: number): readonly [string, ...string[]] {
  const mount = `mount -t tmpfs -o size=${bytes} tmpfs "$0"`;
  const namespace = namespaces.find(([file, ...args]) => spawnSync(file, [...args, 'sh', '-c', mount, folder]).status === 0);
  if (!namespace) {
    throw new Error(
      'This test needs a disk that it may fill, a tmpfs of its own. Run the tests as root, or allow user namespaces ' +
        '(Debian: sysctl kernel.unprivileged_userns_clone=1; Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0).',
    );
  }
  return [...namespace, 'sh', '-c', `${mount} && exec "$1" start`, folder, bin];
}

/** The folder as the process sees it: its mount is not ours. */
export function folderOf(pid: number, folder: string): string {
  return `/proc/${pid}/root${folder}`;
}

/**
 * Keeps the disk while its process ends. The returned function copies what is on it to another folder, and lets go:
 * SQLite itself does not open files by such a path.
 */
export function holdDisk(folder: string): (to: string) => void {
  const directory = openSync(folder, 'r');
  return (to) => {
    const held = `/proc/self/fd/${directory}`;
    for (const name of readdirSync(held)) cpSync(join(held, name), join(to, name), { recursive: true });
    closeSync(directory);
  };
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Fills the disk to its last byte. The returned function makes room again. */
export function fillDisk(folder: string): () => void {
  const path = `${folder}/ballast`;
  const file = openSync(path, 'w');
  try {
    for (let size = 1 << 20; size > 0; size >>= 1) while (writes(file, size));
  } finally {
    closeSync(file);
  }
  return () => rmSync(path);
}

function writes(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}

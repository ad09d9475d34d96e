import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaybookError } from '../../domain/errors.ts';
import { isBusy, openDatabase } from './sqlite-database.ts';

export interface FolderLock {
  /** Idempotent. */
  release(): void;
}

/**
 * Takes a data folder for writing, for this process alone. Readers are not kept out.
 *
 * The lock is SQLite's exclusive lock on a file of its own: the operating system drops it when the process ends,
 * however it ends, so a crash leaves nothing to clean up. The pid beside it only helps people to find the owner.
 * POSIX locks have one trap: a process that opens and closes the lock file by other means than SQLite loses the lock.
 * @throws DaybookError `folder-in-use`
 */
export function lockFolder(folder: string): FolderLock {
  const pidFile = join(folder, 'writer.pid');
  const database = openDatabase(join(folder, 'writer.lock'), { busyTimeoutMs: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) throw cause;
    throw new DaybookError('folder-in-use', `The data folder ${folder} is in use by ${ownerOf(pidFile)}. Stop it, or choose another folder`, { cause });
  }
  writePid(pidFile);
  return {
    release() {
      if (!database.isOpen) return;
      // Removed while the lock is held, so that it cannot be the next owner's.
      rmSync(pidFile, { force: true });
      database.close();
    },
  };
}

function writePid(pidFile: string): void {
  try {
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch {
    // A full disk must not keep the folder from being opened: reading, and waiting for room, work all the same.
  }
}

function ownerOf(pidFile: string): string {
  try {
    const pid = readFileSync(pidFile, 'utf8').trim();
    return /^\d+$/.test(pid) ? `the process ${pid}` : 'another process';
  } catch {
    // The owner has taken the lock a moment ago and not written its pid yet, or the file was removed by hand.
    return 'another process';
  }
}

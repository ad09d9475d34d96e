import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BrokersError } from './brokers-error.mjs';
import { say } from './say.mjs';
import { waitUntil } from './wait-until.mjs';

/**
 * Runs `action` while no other start or stop works in this folder; waits for one that does, at most `limitMs`.
 * A lock whose holder has died is taken over.
 */
export async function onlyOneAtATime(folder, action, limitMs = 300_000) {
  const lock = join(folder, 'lock');
  let told = false;
  const take = async () => {
    const holder = holderOf(lock);
    if (holder !== null && !isOneOfUs(holder)) rmSync(lock, { force: true });
    else if (holder !== null && !told) {
      say(`waiting for another start or stop (pid ${holder}) to finish`);
      told = true;
    }
    writeFileSync(lock, `${process.pid}`, { flag: 'wx' });
  };
  await waitUntil(take, { limitMs, isHopeless: (error) => error.code !== 'EEXIST' }).catch((cause) => {
    if (cause.code !== 'EEXIST') throw cause;
    throw new BrokersError(`Another start or stop holds ${lock} for more than ${limitMs / 1000} s (pid ${holderOf(lock)}).`, { cause });
  });
  try {
    return await action();
  } finally {
    rmSync(lock, { force: true });
  }
}

function holderOf(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Whether the pid is a running start or stop. 0 is a lock whose holder has not written its pid yet. */
function isOneOfUs(pid) {
  if (pid === 0) return true;
  try {
    return /brokers|faults/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

// What a running broker was started with, so that a later call keeps it: `make test` must not move a cluster of three
// back to one only because it does not ask for three.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const fileIn = (folder) => join(folder, 'running.json');

/** The settings of the broker in this folder, or null where it was stopped or never ran. */
export function readRunning(folder) {
  try {
    return JSON.parse(readFileSync(fileIn(folder), 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

export function writeRunning(folder, settings) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${fileIn(folder)}.new`, `${JSON.stringify(settings)}\n`);
  renameSync(`${fileIn(folder)}.new`, fileIn(folder));
}

export function forgetRunning(folder) {
  rmSync(fileIn(folder), { force: true });
}

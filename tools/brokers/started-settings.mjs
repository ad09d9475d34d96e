// What a broker was last started with and not stopped since, so that a later call keeps it: `make test` must not move a
// cluster of three back to one only because it does not ask for three, and a reboot must not either.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const fileIn = (folder) => join(folder, 'started.json');

/** The settings of the broker in this folder, or null where it was stopped or never started. Its processes may have died. */
export function readStarted(folder) {
  try {
    return JSON.parse(readFileSync(fileIn(folder), 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

export function writeStarted(folder, settings) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${fileIn(folder)}.new`, `${JSON.stringify(settings)}\n`);
  renameSync(`${fileIn(folder)}.new`, fileIn(folder));
}

export function forgetStarted(folder) {
  rmSync(fileIn(folder), { force: true });
}

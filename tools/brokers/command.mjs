import { mkdirSync } from 'node:fs';
import { BrokersError } from './brokers-error.mjs';
import { onlyOneAtATime } from './only-one.mjs';
import { readSettings } from './settings.mjs';

/** Runs a start or a stop with its settings, alone, and turns a failure into a message and exit code 1. */
export async function runCommand(action) {
  try {
    const settings = readSettings(process.env);
    mkdirSync(settings.folder, { recursive: true });
    await onlyOneAtATime(settings.folder, () => action(settings));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

function messageOf(error) {
  if (error instanceof BrokersError) return error.message;
  // Root's data after a start by root, and the other way round.
  if (error.code === 'EACCES' || error.code === 'EPERM') return `${error.message}. Call again as the user who started the brokers, or set BROKERS_DIR to a folder of your own.`;
  return error.stack;
}

/** Awaits all, then throws one error for all that failed: one broker's trouble does not hide another's. */
export async function allOrErrors(promises) {
  const results = await Promise.allSettled(promises);
  const errors = results.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
  const unexpected = errors.find((error) => !(error instanceof BrokersError));
  if (unexpected !== undefined) throw unexpected;
  if (errors.length > 0) throw new BrokersError(errors.map((error) => error.message).join('\n\n'));
  return results.map(({ value }) => value);
}

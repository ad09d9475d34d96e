import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokers } from './brokers.mjs';

/** The `DAYBOOK_*` lines of those of the named brokers that run, in a fixed order. */
export function environmentLines(settings, names = Object.keys(brokers)) {
  const variables = Object.assign({}, ...names.map((name) => brokers[name].environment(settings)));
  return Object.entries(variables).map(([name, value]) => `${name}=${value}\n`).join('');
}

/** Writes `env` in the data folder: what runs now. It holds passwords, hence only its owner may read it. */
export function writeEnvironmentFile(settings) {
  const file = join(settings.folder, 'env');
  const lines = environmentLines(settings);
  if (lines === '') return rmSync(file, { force: true });
  writeFileSync(`${file}.new`, lines, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

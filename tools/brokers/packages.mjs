// Installs the Debian packages that are missing. Debian starts a server as soon as it is installed, on the default port
// and, for RabbitMQ, on every address; a policy-rc.d that says no prevents that for as long as the installation takes.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BrokersError } from './brokers-error.mjs';
import { lastLines } from './processes.mjs';
import { say } from './say.mjs';

const policyFile = '/usr/sbin/policy-rc.d';
const ourPolicy = '#!/bin/sh\n# Daybook: no service is started while packages are being installed.\nexit 101\n';

/** `wants`: `[{ present, packages }]`. Throws with the exact command where something is missing and cannot be installed. */
export function installMissing(wants, folder) {
  const packages = [...new Set(wants.filter((want) => !want.present()).flatMap((want) => want.packages))];
  if (packages.length === 0) return;
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
  if (process.getuid() !== 0) throw new BrokersError(`Something is missing. Install it by\n  sudo ${install.join(' ')}\nand call again.`);
  if (!isOnPath('apt-get')) throw new BrokersError(`Something is missing and there is no apt-get; install what Debian calls ${packages.join(', ')} and call again.`);

  say(`installing ${packages.join(', ')}`);
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, 'apt.log');
  const log = openSync(logFile, 'w');
  const run = ([command, ...args]) =>
    spawnSync(command, args, { stdio: ['ignore', log, log], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0;
  // Lists that cannot be fetched may still be good enough for the installation, which has the last word.
  if (!run(['apt-get', 'update', '-q'])) say('apt-get update failed; trying with the lists that are there');
  if (!withoutStartingServices(() => run(install))) {
    throw new BrokersError(`${install.join(' ')} failed. Last lines of ${logFile}:\n${lastLines(logFile)}`);
  }
  const still = wants.filter((want) => !want.present()).flatMap((want) => want.packages);
  if (still.length > 0) throw new BrokersError(`${still.join(', ')} installed, yet what is needed from there was not found; see tools/brokers/README.md.`);
}

export function isOnPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A policy that is there already is its owner's and stays; only one of ours, a killed call's included, is removed. */
function withoutStartingServices(action) {
  if (!existsSync(policyFile)) writeFileSync(policyFile, ourPolicy, { mode: 0o755, flag: 'wx' });
  const ignore = () => {};
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, ignore); // so that the removal below runs after an interrupted apt-get
  try {
    return action();
  } finally {
    if (readFileSync(policyFile, 'utf8') === ourPolicy) rmSync(policyFile);
    for (const signal of signals) process.off(signal, ignore);
  }
}

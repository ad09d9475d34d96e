import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { BrokersError } from './brokers-error.mjs';

/** From linux/capability.h; the weaker one first. Containers often have the second only. */
const pathCapabilities = [{ name: 'dac_read_search', bit: 2n }, { name: 'dac_override', bit: 1n }];

/**
 * The words to put before a command so that it runs as `user` where we are root; none where we are not.
 * A checkout in root's home is closed to every other user. The command then keeps the one capability that lets it pass
 * through folders; it keeps nothing else of root's.
 */
export function unprivileged(folder, user) {
  if (process.getuid() !== 0) return [];
  const become = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups'];
  if (canEnter(become, folder)) return become;
  const held = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]}`);
  for (const { name } of pathCapabilities.filter(({ bit }) => held & (1n << bit))) {
    const withCapability = [...become, `--inh-caps=+${name}`, `--ambient-caps=+${name}`];
    if (canEnter(withCapability, folder)) return withCapability;
  }
  throw new BrokersError(`The user ${user} cannot reach ${folder}; set BROKERS_DIR to a folder that every user can reach.`);
}

/** By reading the folder: `test -x` asks access(2), which leaves capabilities out of account. */
function canEnter([command, ...args], folder) {
  return spawnSync(command, [...args, 'ls', folder], { cwd: '/', stdio: 'ignore' }).status === 0;
}

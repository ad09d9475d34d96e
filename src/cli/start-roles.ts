import { CommandError, exitCodes, type ExitCode } from './exit-codes.ts';
import type { SettingOverrides } from './setting-flags.ts';
import type { Terminal } from './terminal.ts';

const startable = ['all', 'api', 'dispatcher', 'worker', 'diary'] as const;

/** Runs one role, or all of them, in this process, until a signal ends it. */
export async function startRoles(terminal: Terminal, wanted: string | undefined, overrides: SettingOverrides): Promise<ExitCode> {
  const role = startable.find((known) => known === (wanted ?? 'all'));
  if (role === undefined) {
    throw new CommandError(exitCodes.usage, `there is no role ${JSON.stringify(wanted)}; there are ${startable.slice(1).join(', ')}`, {
      next: 'daybook start --help',
    });
  }
  const { loadConfig } = await import('../apps/config.ts');
  const config = loadConfig(terminal.surroundings.environment, { role, overrides });
  const { runRole } = await import('../apps/run-role.ts');
  return (await runRole(role, config)) as ExitCode;
}

import type { Logger } from '../ports/logger.ts';
import type { CatalogEntry } from '../task-definition/task-catalog.ts';
import type { Config, Role } from './config.ts';
import { endOnUncaughtError } from './last-words.ts';
import { loadTasks } from './load-tasks.ts';
import { createLogger } from './logging.ts';
import type { RunningRole } from './running-role.ts';

/**
 * Runs a role, or all of them, until SIGTERM or SIGINT. Prints one line on stdout once it is ready. Resolves with the
 * exit code of an orderly end, after the drain. A second signal ends the process at once, and so does an error that
 * nothing caught.
 *
 * A role on its own shares the log with the others, which needs a server; `loadConfig` has refused it where none is
 * named.
 * @param directory where task modules are looked for
 * @throws what keeps it from starting: `configuration-invalid`, `task-invalid`, `folder-in-use`, `log-unavailable`,
 *   CannotListen
 */
export async function runRole(role: Role | 'all', config: Config, directory = process.cwd()): Promise<number> {
  const stopped = listenForSignals();
  const logger = createLogger({ level: config.logLevel, base: { role } });
  // Said at every level, 'silent' included: it is the only trace that the process leaves.
  endOnUncaughtError(createLogger({ level: 'error', base: { role } }));
  const system = await startRole(role, config, logger, directory);
  process.stdout.write(`${JSON.stringify({ ready: true, role, port: system.listening?.port ?? null, pid: process.pid })}\n`);
  await stopped;
  logger.info({ drainSeconds: config.drainSeconds }, 'draining');
  await system.stop();
  logger.info({}, 'stopped');
  return 0;
}

/** Each role loads its own code and no other's. */
async function startRole(role: Role | 'all', config: Config, logger: Logger, directory: string): Promise<RunningRole> {
  switch (role) {
    case 'dispatcher':
      return (await import('./dispatcher-process.ts')).startDispatcher(config, logger);
    case 'diary':
      return (await import('./diary-process.ts')).startDiary(config, logger);
    case 'api':
      return (await import('./api-process.ts')).startApi(config, await tasksOf(config, logger, directory), logger);
    case 'worker':
      return (await import('./worker-process.ts')).startWorker(config, await tasksOf(config, logger, directory), logger);
    case 'all':
      return (await import('./all-in-one.ts')).startAllInOne({ config, entries: await tasksOf(config, logger, directory), logger, http: true });
    default:
      return role satisfies never;
  }
}

async function tasksOf(config: Config, logger: Logger, directory: string): Promise<readonly CatalogEntry[]> {
  const entries = await loadTasks(config.tasks, directory);
  if (entries.length === 0) logger.warn({}, 'no task types are known here: set DAYBOOK_TASKS to the modules that define them');
  return entries;
}

/** Resolves at the first signal. */
function listenForSignals(): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    for (const [signal, number] of [['SIGTERM', 15], ['SIGINT', 2]] as const) {
      process.on(signal, () => {
        if (isStopping) process.exit(128 + number);
        isStopping = true;
        resolve();
      });
    }
  });
}

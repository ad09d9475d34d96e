import type { DynamicModule } from '@nestjs/common';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { TaskQueries } from '../diary/queries/task-queries.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import type { Logger } from '../ports/logger.ts';
import { AcceptTask } from '../task-api/accept-task.ts';
import { TaskCatalog, type CatalogEntry } from '../task-definition/task-catalog.ts';
import { Worker } from '../worker/worker.ts';
import { apiRole } from './api.ts';
import { roles as allRoles, type Config, type Role } from './config.ts';
import { diaryRole } from './diary.ts';
import { dispatcherRole } from './dispatcher.ts';
import { startWithHttp } from './http/http-process.ts';
import { addApiMetrics } from './metrics/api-metrics.ts';
import { addDiaryMetrics } from './metrics/diary-metrics.ts';
import { addDispatcherMetrics } from './metrics/dispatcher-metrics.ts';
import { startHeadless, type ProcessPlan } from './nest-process.ts';
import { PortsModule } from './ports.module.ts';
import type { RunningRole } from './running-role.ts';
import { openAdapters, type OpenedAdapters } from './wiring/open-adapters.ts';
import { workerRole } from './worker.ts';

export interface AllInOneOptions {
  readonly config: Config;
  /** What task modules export. */
  readonly entries: readonly CatalogEntry[];
  readonly logger: Logger;
  /** Whether to listen on `config.host` and `config.port`. */
  readonly http: boolean;
  /** Default: all four. Those left out do nothing; what they would do waits in the log. */
  readonly roles?: readonly Role[];
}

/** A running process of several roles. */
export interface AllInOne extends RunningRole {
  /** Null without the api role. */
  readonly acceptTask: AcceptTask | null;
  /** Null without the diary role. */
  readonly taskQueries: TaskQueries | null;
}

/**
 * Starts roles in this process, on files or on the servers that the settings name. They share ports and nothing else:
 * each is composed as it would be in a process of its own.
 * @throws DaybookError `task-invalid`, `folder-in-use`, `log-unavailable`; CannotListen
 */
export async function startAllInOne({ config, entries, logger, http, roles = allRoles }: AllInOneOptions): Promise<AllInOne> {
  const catalog = new TaskCatalog(entries);
  const here = new Set(roles);
  const clock = new SystemClock();
  const adapters = await openAdapters(config, here, clock, logger);
  try {
    const plan = { ...planOf(here, config, catalog, adapters), drainSeconds: config.drainSeconds, clock, logger };
    const started = await (http ? startWithHttp(plan, config, here) : startHeadless(plan));
    const stop = async () => {
      await started.close();
      await adapters.close();
    };
    let stopping: Promise<void> | null = null;
    return {
      listening: started.listening,
      acceptTask: here.has('api') ? started.context.get(AcceptTask, { strict: false }) : null,
      taskQueries: here.has('diary') ? started.context.get(TaskQueries, { strict: false }) : null,
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await adapters.close();
    throw error;
  }
}

/** One module a role. The adapters stand before the roles start, and stop after them. */
function planOf(
  roles: ReadonlySet<Role>,
  config: Config,
  catalog: TaskCatalog,
  { ports: adapters, services, projector }: OpenedAdapters,
): Pick<ProcessPlan, 'modules' | 'services' | 'addMetrics'> {
  const ports = PortsModule.of(adapters);
  const modules: Readonly<Record<Role, () => DynamicModule>> = {
    api: () => apiRole(ports, config, catalog),
    dispatcher: () => dispatcherRole(ports, config),
    worker: () => workerRole(ports, config, catalog),
    diary: () => diaryRole(ports, present(projector)),
  };
  return {
    modules: allRoles.filter((role) => roles.has(role)).map((role) => modules[role]()),
    services: {
      standing: services,
      provided: [...(roles.has('dispatcher') ? [Dispatcher] : []), ...(roles.has('worker') && catalog.hasHandlers ? [Worker] : [])],
    },
    addMetrics: (registry, context) => {
      if (roles.has('api')) addApiMetrics(registry, context.get(AcceptTask, { strict: false }));
      if (roles.has('dispatcher')) addDispatcherMetrics(registry, context.get(Dispatcher, { strict: false }));
      if (roles.has('diary')) addDiaryMetrics(registry, () => present(projector).metrics());
    },
  };
}

/** The projector stands wherever the diary role runs. */
function present<Value>(value: Value | null): Value {
  if (value === null) throw new TypeError('the diary role runs here, and its projector was not opened');
  return value;
}

import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { Module, type DynamicModule, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { TaskQueries } from '../diary/queries/task-queries.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Service } from '../ports/service.ts';
import { AcceptTask } from '../task-api/accept-task.ts';
import { TaskCatalog, type CatalogEntry } from '../task-definition/task-catalog.ts';
import { Worker } from '../worker/worker.ts';
import { apiRole } from './api.ts';
import { roles as allRoles, type Config, type Role } from './config.ts';
import { diaryRole } from './diary.ts';
import { dispatcherRole } from './dispatcher.ts';
import { HttpApp } from './http/http-app.ts';
import type { Listening } from './http/listening.ts';
import { nestLogger } from './logging.ts';
import { metricsRegistry } from './metrics.ts';
import { PortsModule } from './ports.module.ts';
import { ServiceHost } from './service-host.ts';
import { openEmbeddedAdapters, type EmbeddedAdapters } from './wiring/embedded.ts';
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
export interface AllInOne {
  /** Null without HTTP. */
  readonly listening: Listening | null;
  /** Null without the api role. */
  readonly acceptTask: AcceptTask | null;
  /** Null without the diary role. */
  readonly taskQueries: TaskQueries | null;
  readonly catalog: TaskCatalog;
  /** Drains, then closes the files. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts roles in this process on the embedded adapters. They share ports and nothing else: each is composed as it
 * would be in a process of its own.
 * @throws DaybookError `task-invalid`, `folder-in-use`, `log-unavailable`; CannotListen
 */
export async function startAllInOne({ config, entries, logger, http, roles = allRoles }: AllInOneOptions): Promise<AllInOne> {
  const catalog = new TaskCatalog(entries);
  const clock = new SystemClock();
  const adapters = openEmbeddedAdapters(config, clock, logger);
  try {
    const root = rootModule({ config, catalog, clock, logger, adapters, roles: new Set(roles) });
    const started = await (http ? startHttp(root, config, logger, new Set(roles), adapters) : startHeadless(root, logger));
    let stopping: Promise<void> | null = null;
    const stop = async () => {
      await started.close();
      await adapters.close();
    };
    return {
      listening: started.listening,
      acceptTask: roles.includes('api') ? started.context.get(AcceptTask, { strict: false }) : null,
      taskQueries: roles.includes('diary') ? started.context.get(TaskQueries, { strict: false }) : null,
      catalog,
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await adapters.close();
    throw error;
  }
}

interface Composition {
  readonly config: Config;
  readonly catalog: TaskCatalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly adapters: EmbeddedAdapters;
  readonly roles: ReadonlySet<Role>;
}

@Module({})
class AllInOneModule {}

/** One module a role, and the host of their services: the diary first, so that it is the last to stop. */
function rootModule({ config, catalog, clock, logger, adapters, roles }: Composition): DynamicModule {
  const ports = PortsModule.of(adapters.ports);
  const modules: Readonly<Record<Role, () => DynamicModule>> = {
    api: () => apiRole(ports, config, catalog),
    dispatcher: () => dispatcherRole(ports, config),
    worker: () => workerRole(ports, config, catalog),
    diary: () => diaryRole(ports, adapters.diary),
  };
  const services = [...(roles.has('dispatcher') ? [Dispatcher] : []), ...(roles.has('worker') && catalog.hasHandlers ? [Worker] : [])];
  const first: readonly Service[] = roles.has('diary') ? [adapters.diary] : [];
  return {
    module: AllInOneModule,
    imports: allRoles.filter((role) => roles.has(role)).map((role) => modules[role]()),
    providers: [
      {
        provide: ServiceHost,
        inject: services,
        useFactory: (...started: Service[]) => new ServiceHost([...first, ...started], config.drainSeconds * 1_000, clock, logger),
      },
    ],
    exports: [ServiceHost],
  };
}

interface Started {
  readonly context: Pick<INestApplicationContext, 'get'>;
  readonly listening: Listening | null;
  close(): Promise<void>;
}

async function startHeadless(root: DynamicModule, logger: Logger): Promise<Started> {
  const context = await NestFactory.createApplicationContext(root, { logger: nestLogger(logger), abortOnError: false });
  return { context, listening: null, close: () => context.close() };
}

async function startHttp(root: DynamicModule, config: Config, logger: Logger, roles: ReadonlySet<Role>, adapters: EmbeddedAdapters): Promise<Started> {
  const app = await HttpApp.create({
    module: root,
    roles,
    source: (context) => ({
      health: () => context.get(ServiceHost, { strict: false }).health(),
      registry: metricsRegistry({
        acceptTask: roles.has('api') ? context.get(AcceptTask, { strict: false }) : null,
        dispatcher: roles.has('dispatcher') ? context.get(Dispatcher, { strict: false }) : null,
        diary: roles.has('diary') ? () => adapters.diary.metrics() : null,
      }),
    }),
    logger,
    apiKeys: config.apiKeys,
    bodyLimitBytes: config.bodyLimitBytes,
    version: packageVersion(),
  });
  try {
    return { context: app.context, listening: await app.listen(config.host, config.port), close: () => app.close() };
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** Of this package: two folders up, from src as from dist. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return version;
}

import 'reflect-metadata';
import { Module, type DynamicModule, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Registry } from 'prom-client';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Service } from '../ports/service.ts';
import type { HealthSource } from './http/health-routes.ts';
import type { Listening } from './http/listening.ts';
import { nestLogger } from './logging.ts';
import { ServiceHost } from './service-host.ts';

/** What runs in a process: the modules of its roles, and the services in them that are to be started. */
export interface ProcessPlan {
  /** For the routes of health and metrics; none without HTTP. */
  readonly addMetrics: (registry: Registry, context: Context) => void;
  readonly modules: readonly DynamicModule[];
  /** In the order of their start: first those that stand outside of the modules, then those that the modules provide. */
  readonly services: { readonly standing: readonly Service[]; readonly provided: ReadonlyArray<Type<Service>> };
  readonly drainSeconds: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type Context = Pick<INestApplicationContext, 'get'>;

/** A started application of NestJS. */
export interface NestProcess {
  readonly context: Context;
  /** Null without HTTP. */
  readonly listening: Listening | null;
  /** Stops the services in reverse, then HTTP. */
  close(): Promise<void>;
}

@Module({})
class ProcessModule {}

/** The modules of the plan, and the host of its services. */
export function processModule({ modules, services, drainSeconds, clock, logger }: ProcessPlan): DynamicModule {
  return {
    module: ProcessModule,
    imports: [...modules],
    providers: [
      {
        provide: ServiceHost,
        inject: [...services.provided],
        useFactory: (...provided: Service[]) => new ServiceHost([...services.standing, ...provided], drainSeconds * 1_000, clock, logger),
      },
    ],
    exports: [ServiceHost],
  };
}

/** What the health routes of a process tell about. */
export function healthSourceOf({ addMetrics }: ProcessPlan, context: Context, registry: Registry): HealthSource {
  addMetrics(registry, context);
  return { registry, health: () => context.get(ServiceHost, { strict: false }).health() };
}

export async function startHeadless(plan: ProcessPlan): Promise<NestProcess> {
  const context = await NestFactory.createApplicationContext(processModule(plan), { logger: nestLogger(plan.logger), abortOnError: false });
  return { context, listening: null, close: () => context.close() };
}

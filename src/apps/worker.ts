import type { DynamicModule } from '@nestjs/common';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import { WorkerModule } from '../worker/worker.module.ts';
import type { Config } from './config.ts';
import { refuseTimeoutsBeyondTheBrokers } from './consumer-timeout.ts';
import { instance, sourceOf } from './roles.ts';

/** The worker role: needs receiver, claims, appender and presence writer, and reads no history. */
export function workerRole(ports: DynamicModule, config: Config, catalog: TaskCatalog): DynamicModule {
  refuseTimeoutsBeyondTheBrokers(catalog, config);
  return WorkerModule.register(ports, sourceOf('worker'), catalog, {
    workerId: instance,
    queues: [...catalog.queues],
    concurrency: config.workerConcurrency,
    prefetch: config.workerPrefetch,
    leaseMs: config.leaseMs,
    presenceMs: config.presenceMs,
    maxResultBytes: config.resultLimitBytes,
    maxPayloadBytes: config.payloadLimitBytes,
    maxDepth: config.depthLimit,
  });
}

import type { DynamicModule } from '@nestjs/common';
import { TaskApiModule } from '../task-api/task-api.module.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import type { Config } from './config.ts';
import { sourceOf } from './roles.ts';

/** The api role: needs an appender, and neither reader, queue nor view. */
export function apiRole(ports: DynamicModule, config: Config, catalog: TaskCatalog): DynamicModule {
  return TaskApiModule.register(ports, sourceOf('api'), catalog, config);
}

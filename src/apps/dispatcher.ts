import type { DynamicModule } from '@nestjs/common';
import { DispatchModule } from '../dispatch/dispatch.module.ts';
import type { Config } from './config.ts';
import { sourceOf } from './roles.ts';

/** The dispatcher role: needs reader, sender and appender, and neither handlers nor views. */
export function dispatcherRole(ports: DynamicModule, config: Config): DynamicModule {
  return DispatchModule.register(ports, sourceOf('dispatcher'), {
    window: config.dispatchWindow,
    sweepMs: config.sweepMs,
    presenceMs: config.presenceMs,
    snapshots: { everyMs: config.snapshotMs, everyRecords: config.snapshotEvents },
  });
}

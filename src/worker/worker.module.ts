import { Module, type DynamicModule } from '@nestjs/common';
import { EventProducer } from '../event-producer/event-producer.ts';
import { EventProducerModule } from '../event-producer/event-producer.module.ts';
import type { Clock } from '../ports/clock.ts';
import type { ExecutionClaims } from '../ports/execution-claims.ts';
import type { Ids } from '../ports/ids.ts';
import type { JobReceiver } from '../ports/job-receiver.ts';
import type { Logger } from '../ports/logger.ts';
import type { PresenceWriter } from '../ports/presence-writer.ts';
import { tokens } from '../ports/tokens.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import { Worker, type WorkerSettings } from './worker.ts';

/** Executes. Consumes jobs, guards them by claims, appends events; reads no history and sees no view. */
@Module({})
export class WorkerModule {
  static register(ports: DynamicModule, source: string, catalog: TaskCatalog, settings: WorkerSettings): DynamicModule {
    return {
      module: WorkerModule,
      imports: [ports, EventProducerModule.register(ports, source)],
      providers: [
        {
          provide: Worker,
          inject: [tokens.jobReceiver, tokens.executionClaims, EventProducer, tokens.presenceWriter, tokens.clock, tokens.ids, tokens.logger],
          useFactory: (
            receiver: JobReceiver, claims: ExecutionClaims, producer: EventProducer, presence: PresenceWriter, clock: Clock, ids: Ids, logger: Logger,
          ) => new Worker({ receiver, claims, producer, presence, clock, ids, logger, catalog, settings }),
        },
      ],
      exports: [Worker],
    };
  }
}

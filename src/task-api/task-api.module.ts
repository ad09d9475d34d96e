import { Module, type DynamicModule } from '@nestjs/common';
import { EventProducer } from '../event-producer/event-producer.ts';
import { EventProducerModule } from '../event-producer/event-producer.module.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ids } from '../ports/ids.ts';
import { tokens } from '../ports/tokens.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import { AcceptTask, type AcceptSettings } from './accept-task.ts';
import { RecordRequest } from './record-request.ts';
import { TaskApiController } from './task-api.controller.ts';

/** Accepts. Validates and records submissions and requests; reads no topic, no queue, no view. */
@Module({})
export class TaskApiModule {
  static register(ports: DynamicModule, source: string, catalog: TaskCatalog, settings: AcceptSettings): DynamicModule {
    return {
      module: TaskApiModule,
      imports: [ports, EventProducerModule.register(ports, source)],
      controllers: [TaskApiController],
      providers: [
        {
          provide: AcceptTask,
          inject: [EventProducer, tokens.clock, tokens.ids],
          useFactory: (producer: EventProducer, clock: Clock, ids: Ids) => new AcceptTask(producer, catalog, clock, ids, settings),
        },
        {
          provide: RecordRequest,
          inject: [EventProducer, tokens.ids],
          useFactory: (producer: EventProducer, ids: Ids) => new RecordRequest(producer, ids),
        },
      ],
      exports: [AcceptTask, RecordRequest],
    };
  }
}

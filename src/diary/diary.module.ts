import { Module, type DynamicModule } from '@nestjs/common';
import type { Clock } from '../ports/clock.ts';
import type { EventReader } from '../ports/event-reader.ts';
import type { ProjectionReader } from '../ports/projection-reader.ts';
import { tokens } from '../ports/tokens.ts';
import { DiaryController, projectionControlToken } from './diary.controller.ts';
import type { ProjectionControl } from './projection-control.ts';
import { TaskQueries } from './queries/task-queries.ts';

/** The diary's questions over HTTP. */
@Module({})
export class DiaryModule {
  /**
   * @param ports provides `eventReader`, `projectionReader` and `clock`
   * @param control the projector, or the host of its thread
   */
  static register(ports: DynamicModule, control: ProjectionControl): DynamicModule {
    return {
      module: DiaryModule,
      imports: [ports],
      controllers: [DiaryController],
      providers: [
        { provide: projectionControlToken, useValue: control },
        {
          provide: TaskQueries,
          inject: [tokens.eventReader, tokens.projectionReader, tokens.clock],
          useFactory: (reader: EventReader, projections: ProjectionReader, clock: Clock) => new TaskQueries(reader, projections, clock),
        },
      ],
      exports: [TaskQueries],
    };
  }
}

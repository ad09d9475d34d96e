import type { DynamicModule } from '@nestjs/common';
import { DiaryModule } from '../diary/diary.module.ts';
import type { ProjectionControl } from '../diary/projection-control.ts';

/** The diary role: needs readers of the log and of the read model; appends nothing and enqueues nothing. */
export function diaryRole(ports: DynamicModule, projector: ProjectionControl): DynamicModule {
  return DiaryModule.register(ports, projector);
}

import { Module, type DynamicModule } from '@nestjs/common';
import type { Clock } from '../ports/clock.ts';
import type { EventAppender } from '../ports/event-appender.ts';
import { tokens } from '../ports/tokens.ts';
import { EventProducer } from './event-producer.ts';

/** Records. The one way from a role to the log; each role has its own, which signs with the role's source. */
@Module({})
export class EventProducerModule {
  /** @param source `/daybook/<role>/<instance>` */
  static register(ports: DynamicModule, source: string): DynamicModule {
    return {
      module: EventProducerModule,
      imports: [ports],
      providers: [
        {
          provide: EventProducer,
          inject: [tokens.eventAppender, tokens.clock],
          useFactory: (appender: EventAppender, clock: Clock) => new EventProducer(appender, clock, source),
        },
      ],
      exports: [EventProducer],
    };
  }
}

import { Module, type DynamicModule } from '@nestjs/common';
import { EventProducer } from '../event-producer/event-producer.ts';
import { EventProducerModule } from '../event-producer/event-producer.module.ts';
import type { Clock } from '../ports/clock.ts';
import type { EventReader } from '../ports/event-reader.ts';
import type { JobSender } from '../ports/job-sender.ts';
import type { Logger } from '../ports/logger.ts';
import type { PartitionOwnership } from '../ports/partition-ownership.ts';
import type { PresenceReader } from '../ports/presence-reader.ts';
import type { QueueInspection } from '../ports/queue-inspection.ts';
import type { SnapshotStore } from '../ports/snapshot-store.ts';
import { tokens } from '../ports/tokens.ts';
import { Dispatcher, type DispatcherSettings } from './dispatcher.ts';

/** Decides and hands out. Reads the log, sends jobs, records decisions; runs nothing and keeps no view. */
@Module({})
export class DispatchModule {
  static register(ports: DynamicModule, source: string, settings: Partial<DispatcherSettings>): DynamicModule {
    return {
      module: DispatchModule,
      imports: [ports, EventProducerModule.register(ports, source)],
      providers: [
        {
          provide: Dispatcher,
          inject: [
            tokens.eventReader,
            tokens.partitionOwnership,
            tokens.jobSender,
            tokens.queueInspection,
            tokens.presenceReader,
            EventProducer,
            tokens.snapshotStore,
            tokens.clock,
            tokens.logger,
          ],
          useFactory: (
            reader: EventReader,
            ownership: PartitionOwnership,
            sender: JobSender,
            inspection: QueueInspection,
            presence: PresenceReader,
            producer: EventProducer,
            snapshotStore: SnapshotStore,
            clock: Clock,
            logger: Logger,
          ) => new Dispatcher({ reader, ownership, sender, inspection, presence, producer, snapshotStore, clock, logger, settings }),
        },
      ],
      exports: [Dispatcher],
    };
  }
}

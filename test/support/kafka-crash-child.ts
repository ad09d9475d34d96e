import { KafkaEventAppender } from '../../src/adapters/kafka/kafka-event-appender.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import type { AppendedRecord } from '../../src/ports/event-appender.ts';

// A process that appends what it is told, and waits to be killed. It never closes anything.

export interface AppendCall {
  readonly id: number;
  readonly record: LogRecord;
}

export interface AppendAnswer {
  readonly id: number;
  readonly appended?: AppendedRecord;
  readonly error?: string;
}

const [brokers = '', topic = ''] = process.argv.slice(2);
const appender = new KafkaEventAppender({ connection: { brokers: brokers.split(',') }, topic });

process.on('message', ({ id, record }: AppendCall) => {
  const answer = (settled: Omit<AppendAnswer, 'id'>) => process.send?.({ id, ...settled } satisfies AppendAnswer);
  appender.append(record).then(
    (appended) => answer({ appended }),
    (error: unknown) => answer({ error: String(error) }),
  );
});
// The parent died: nothing outlives it.
process.on('disconnect', () => process.exit(1));

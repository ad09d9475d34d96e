import { expect, it, onTestFinished } from 'vitest';
import { openEmbeddedAdapters } from '../../test/support/embedded-adapters.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { decodeEvent } from '../domain/event-codec.ts';
import { EventProducer, recordDigest, type EventDraft } from './event-producer.ts';

const draft: EventDraft<'TaskDispatched'> = {
  type: 'TaskDispatched',
  taskId: 'task-1',
  taskType: 'email.welcome',
  taskTypeVersion: 2,
  tenant: 'default',
  data: { attempt: 1, queue: 'default', issue: 1 },
};

it('stamps id, time and source and encodes the event', () => {
  const { producer, clock } = open();
  const prepared = producer.prepare(draft);
  expect(prepared.timeMs).toBe(clock.nowMs());
  expect(decodeEvent(prepared.record)).toEqual({
    ...draft,
    id: prepared.eventId,
    timeMs: clock.nowMs(),
    source: '/daybook/dispatcher/1',
  });
});

it('carries the trace of the step that caused the event', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  expect(decodeEvent(open().producer.prepare({ ...draft, traceparent }).record)).toMatchObject({ traceparent });
});

it('gives the same fact the same id and the same bytes at any time and from any instance', () => {
  const first = open().producer.prepare(draft);
  const { producer, clock } = open('/daybook/dispatcher/2');
  clock.advance(86_400_000);
  const second = producer.prepare({ ...draft, data: { issue: 1, queue: 'default', attempt: 1 } });
  expect(second.eventId).toBe(first.eventId);
  expect(second.record.value).toEqual(first.record.value);
  expect(recordDigest(second.record)).toBe(recordDigest(first.record));
  expect(second.timeMs).not.toBe(first.timeMs);
});

it('appends what it prepared, and may append it again', async () => {
  const { producer } = open();
  const recorded = await producer.record(draft);
  const again = await producer.append(recorded.record);
  expect(recorded.position).toMatchObject({ partition: 0, offset: 0 });
  expect(again).toMatchObject({ partition: 0, offset: 1 });
});

it('passes on why the log did not take an event', async () => {
  const { producer, close } = open();
  await close();
  await expect(producer.record(draft)).rejects.toMatchObject({ code: 'stopped' });
});

function open(source = '/daybook/dispatcher/1') {
  const clock = new ManualClock();
  const adapters = openEmbeddedAdapters(temporaryFolder());
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= adapters.close());
  onTestFinished(close);
  return { producer: new EventProducer(adapters.appender, clock, source), clock, close };
}

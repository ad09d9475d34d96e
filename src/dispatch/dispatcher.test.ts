import { describe, expect, it, onTestFinished } from 'vitest';
import { EmbeddedEventAppender } from '../adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../adapters/embedded/embedded-event-reader.ts';
import { EmbeddedJobReceiver } from '../adapters/embedded/embedded-job-receiver.ts';
import { EmbeddedJobSender } from '../adapters/embedded/embedded-job-sender.ts';
import { EmbeddedOwnershipGroup } from '../adapters/embedded/embedded-partition-ownership.ts';
import { EmbeddedPresence } from '../adapters/embedded/embedded-presence.ts';
import { EmbeddedQueueInspection } from '../adapters/embedded/embedded-queue-inspection.ts';
import { EmbeddedJobs } from '../adapters/embedded/embedded-jobs.ts';
import { openEmbeddedStore } from '../adapters/embedded/embedded-store.ts';
import { DaybookError } from '../domain/errors.ts';
import { decodeEvent } from '../domain/event-codec.ts';
import { fold } from '../domain/evolve.ts';
import type { Job } from '../domain/job.ts';
import type { LogRecord } from '../domain/log-record.ts';
import type { AcceptedOptions, DecodedRecord, TaskEvent, TaskEventData, TaskEventType } from '../domain/task-events.ts';
import { EventProducer } from '../event-producer/event-producer.ts';
import type { EventAppender } from '../ports/event-appender.ts';
import type { EventReader } from '../ports/event-reader.ts';
import type { JobDelivery } from '../ports/job-receiver.ts';
import type { JobSender, SendOutcome } from '../ports/job-sender.ts';
import type { PartitionOwnership } from '../ports/partition-ownership.ts';
import { eventually } from '../../test/support/eventually.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { silent } from '../../test/support/silent-logger.ts';
import { Dispatcher, type DispatcherSettings } from './dispatcher.ts';

const retry = { maxAttempts: 3, backoff: 'exponential', baseMs: 1_000, maxMs: 60_000 } as const;
const subject = { taskType: 'demo', taskTypeVersion: 1, tenant: 'default' } as const;

/** Faults between the dispatcher and its real adapters, switched by the test. */
interface Faults {
  send: (job: Job, real: () => Promise<SendOutcome>) => Promise<SendOutcome>;
  append: (record: LogRecord) => void;
  endPositions: () => Promise<void>;
  queueLostAtMs: () => number | null;
  queueIsGone: boolean;
}

/** A dispatcher on a real embedded log and queue. The test plays api and worker, and moves the clock. */
async function system() {
  const clock = new ManualClock();
  const store = openEmbeddedStore({ folder: temporaryFolder(), clock });
  const jobs = new EmbeddedJobs(store);
  const appender = new EmbeddedEventAppender(store);
  const reader = new EmbeddedEventReader(store);
  const realSender = new EmbeddedJobSender(jobs);
  const realInspection = new EmbeddedQueueInspection(jobs);
  const producer = new EventProducer(appender, clock, '/daybook/test/1');
  const deliveries: JobDelivery[] = [];
  const faults: Faults = { send: (_job, real) => real(), append: () => {}, endPositions: () => Promise.resolve(), queueLostAtMs: () => null, queueIsGone: false };
  const sent: Job[] = [];
  const sender: JobSender = {
    send: (job) =>
      faults.send(job, () => {
        sent.push(job);
        return realSender.send(job);
      }),
    queueLostAtMs: () => faults.queueLostAtMs(),
  };
  const faultyAppender: EventAppender = {
    topic: appender.topic,
    append: async (record) => {
      faults.append(record);
      return appender.append(record);
    },
  };
  const faultyReader: EventReader = {
    topic: reader.topic,
    identity: () => reader.identity(),
    openCursor: (from, partitions) => reader.openCursor(from, partitions),
    readAt: (positions) => reader.readAt(positions),
    endPositions: async () => {
      await faults.endPositions();
      return reader.endPositions();
    },
  };
  const consumer = new EmbeddedJobReceiver(jobs).consume('default', 1_000, (delivery) => void deliveries.push(delivery));
  const group = new EmbeddedOwnershipGroup();
  const presence = new EmbeddedPresence();
  const ownerships = new Map<Dispatcher, PartitionOwnership>();
  let started: Dispatcher[] = [];

  const startDispatcher = async (settings: Partial<DispatcherSettings> = {}) => {
    const dispatcherProducer = new EventProducer(faultyAppender, clock, '/daybook/dispatcher/1');
    const ownership = group.join();
    const dispatcher = new Dispatcher({
      reader: faultyReader,
      ownership,
      sender,
      inspection: { readyJobs: async (queue) => (faults.queueIsGone ? null : realInspection.readyJobs(queue)) },
      presence: presence.reader(),
      producer: dispatcherProducer,
      clock,
      logger: silent,
      settings,
    });
    await dispatcher.start();
    started.push(dispatcher);
    ownerships.set(dispatcher, ownership);
    await eventually(() => dispatcher.health().every(({ ok }) => ok));
    return dispatcher;
  };
  const stopDispatchers = async () => {
    await Promise.all(started.map((dispatcher) => dispatcher.stop(0)));
    started = [];
  };
  onTestFinished(async () => {
    await stopDispatchers();
    await consumer.stop();
    reader.close();
    await store.close();
  });

  const record = <Type extends TaskEventType>(taskId: string, type: Type, data: TaskEventData[Type], traceparent?: string) =>
    producer.record({ ...subject, taskId, type, data, ...(traceparent === undefined ? {} : { traceparent }) });
  const accept = (taskId: string, options: AcceptedOptions = {}, changes: Partial<TaskEventData['TaskAccepted']> = {}) =>
    record(taskId, 'TaskAccepted', { payload: { of: taskId }, options, retry, timeoutMs: 30_000, submitter: 'anonymous', requestDigest: taskId, ...changes });
  const start = (taskId: string, attempt: number, executionId = `${taskId}-x${attempt}`) =>
    record(taskId, 'TaskExecutionStarted', { attempt, issue: 1, queue: 'default', executionId, workerId: 'w', handlerVersion: 1, redelivered: false, guarded: true });
  const complete = (taskId: string, attempt: number) =>
    record(taskId, 'TaskExecutionCompleted', { attempt, executionId: `${taskId}-x${attempt}`, workerId: 'w', result: null, durationMs: 1 });
  const fail = (taskId: string, attempt: number, error: Partial<TaskEventData['TaskExecutionFailed']['error']> = {}) =>
    record(taskId, 'TaskExecutionFailed', {
      attempt,
      executionId: `${taskId}-x${attempt}`,
      workerId: 'w',
      error: { name: 'Error', message: 'no', code: null, retryable: true, fingerprint: 'f', ...error },
      cause: 'handler',
      durationMs: 1,
    });
  /** A sound envelope around an event that only a newer build knows. */
  const appendAs = (taskId: string, type: string) => {
    const { record: known } = producer.prepare({ ...subject, taskId, type: 'TaskCancelled', data: { reason: 'r' }, cause: { attempt: 0, eventId: 'e' } });
    return appender.append({ ...known, headers: known.headers.map(([name, value]) => [name, value.replace('TaskCancelled', type)]) });
  };
  const events = async (): Promise<DecodedRecord[]> => {
    const cursor = reader.openCursor(new Map());
    const records = await cursor.next({ maxRecords: 10_000, waitMs: 0 });
    cursor.close();
    return records.map((stored) => decodeEvent(stored));
  };
  const eventsOf = async (taskId: string) => (await events()).filter((event) => event.taskId === taskId) as TaskEvent[];
  const typesOf = async (taskId: string) => (await eventsOf(taskId)).map(({ type }) => type);
  /** Waits until the task's last event is of the type. */
  const until = (taskId: string, type: TaskEventType) => eventually(async () => (await typesOf(taskId)).at(-1) === type);
  /** Waits until everything that the dispatcher had to do is done: the log stands still over two looks. */
  const settled = async () => {
    let before = -1;
    await eventually(async () => {
      const end = (await events()).length + sent.length;
      const still = end === before && started.every((dispatcher) => dispatcher.gauges.unsettled === 0);
      before = end;
      return still;
    });
  };
  const ownership = (dispatcher: Dispatcher) => ownerships.get(dispatcher)!;
  return { clock, ownership, presence, appendAs, deliveries, sent, faults, startDispatcher, stopDispatchers, record, accept, start, complete, fail, events, eventsOf, typesOf, until, settled };
}

describe('Dispatcher', () => {
  it('publishes the job of an accepted task, and records the dispatch after the confirm', async () => {
    const { startDispatcher, accept, until, deliveries, faults, typesOf } = await system();
    let recordedAtSend: string[] = [];
    faults.send = async (job, real) => {
      const outcome = await real();
      recordedAtSend = await typesOf(job.taskId);
      return outcome;
    };
    await startDispatcher();
    await accept('t');
    await until('t', 'TaskDispatched');
    expect(recordedAtSend).toEqual(['TaskAccepted']);
    expect(deliveries.map(({ job }) => job)).toEqual([
      { taskId: 't', attempt: 1, issue: 1, queue: 'default', type: 'demo', typeVersion: 1, payload: { of: 't' }, timeoutMs: 30_000, expiresAtMs: null },
    ]);
  });

  it('carries the trace of the submission on, in jobs and in what it records, not that of a later request', async () => {
    const { startDispatcher, record, start, fail, until, eventsOf, sent } = await system();
    const [traceparent, another] = ['4bf92f3577b34da6a3ce929d0e0e4736', '0af7651916cd43dd8448eb211c80319c'].map((trace) => `00-${trace}-00f067aa0ba902b7-01`);
    const accepted = { payload: null, options: {}, retry: { ...retry, maxAttempts: 1 }, timeoutMs: 30_000, submitter: 'anonymous', requestDigest: 'd' };
    await startDispatcher();
    await record('t', 'TaskAccepted', accepted, traceparent);
    await until('t', 'TaskDispatched');
    await start('t', 1);
    await fail('t', 1);
    await until('t', 'TaskFailedPermanently');
    await record('t', 'TaskRetryRequested', { requestId: 'r', reason: 'again', by: 'anonymous' }, another);
    await until('t', 'TaskDispatched');
    const decided = ['TaskDispatched', 'TaskFailedPermanently', 'TaskRetryScheduled', 'TaskDispatched'];
    const ours = (await eventsOf('t')).filter(({ source }) => source === '/daybook/dispatcher/1');
    expect(ours.map(({ type, traceparent: carried }) => [type, carried])).toEqual(decided.map((type) => [type, traceparent]));
    expect(sent.map((job) => job.traceparent)).toEqual([traceparent, traceparent]);
  });

  it('schedules the retry of a failed attempt, and publishes it when it is due and not before', async () => {
    const { startDispatcher, accept, start, fail, until, eventsOf, sent, clock, settled } = await system();
    await startDispatcher();
    await accept('t');
    await until('t', 'TaskDispatched');
    await start('t', 1);
    await fail('t', 1);
    await until('t', 'TaskRetryScheduled');
    const scheduled = (await eventsOf('t')).find((event) => event.type === 'TaskRetryScheduled')!;
    const failed = (await eventsOf('t')).find((event) => event.type === 'TaskExecutionFailed')!;
    const delayMs = scheduled.data.dueAtMs - failed.timeMs;
    expect(delayMs).toBeGreaterThanOrEqual(500);
    expect(delayMs).toBeLessThanOrEqual(1_000);
    clock.advance(delayMs - 1);
    await settled();
    expect(sent.map(({ attempt }) => attempt)).toEqual([1]);
    clock.advance(1);
    await until('t', 'TaskDispatched');
    expect(sent.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(sent[1]?.payload).toEqual({ of: 't' });
  });

  it('ends a task whose attempts are used up, and dispatches it no more', async () => {
    const { startDispatcher, accept, start, fail, until, eventsOf, sent, clock } = await system();
    await startDispatcher();
    await accept('t');
    for (let attempt = 1; attempt <= 3; attempt++) {
      await eventually(() => sent.length === attempt);
      await start('t', attempt);
      await fail('t', attempt);
      await until('t', attempt < 3 ? 'TaskRetryScheduled' : 'TaskFailedPermanently');
      clock.advance(60_000);
    }
    expect((await eventsOf('t')).at(-1)?.data).toEqual({ reason: 'attempts-exhausted', attempts: 3 });
    expect(sent.length).toBe(3);
  });

  it('does nothing when a finished history is replayed into a fresh dispatcher', async () => {
    const { startDispatcher, stopDispatchers, accept, start, complete, fail, until, events, sent, settled } = await system();
    await startDispatcher();
    for (const taskId of ['a', 'b', 'c']) {
      await accept(taskId);
      await until(taskId, 'TaskDispatched');
      await start(taskId, 1);
      await (taskId === 'c' ? fail(taskId, 1, { retryable: false }) : complete(taskId, 1));
    }
    await until('c', 'TaskFailedPermanently');
    await stopDispatchers();
    const before = { events: (await events()).length, sent: sent.length };
    const fresh = await startDispatcher();
    await settled();
    expect({ events: (await events()).length, sent: sent.length }).toEqual(before);
    expect(fresh.gauges).toEqual({ openTasks: 1, closedTasks: 2, outstanding: 0, unsettled: 0 });
  });

  it('never runs a completed task again when its acceptance is repeated, also after a restart', async () => {
    const { startDispatcher, stopDispatchers, accept, start, complete, until, sent, settled } = await system();
    const first = await startDispatcher();
    await accept('t');
    await until('t', 'TaskDispatched');
    await start('t', 1);
    await complete('t', 1);
    await eventually(() => first.gauges.closedTasks === 1);
    await accept('t');
    await settled();
    await stopDispatchers();
    await startDispatcher();
    await accept('t');
    await settled();
    expect(sent.length).toBe(1);
  });

  it('waits for notBefore across a restart', async () => {
    const { startDispatcher, stopDispatchers, accept, until, sent, settled, clock } = await system();
    await startDispatcher();
    await accept('t', { delayMs: 90_000_000 });
    await settled();
    await stopDispatchers();
    clock.advance(89_999_999);
    await startDispatcher();
    await settled();
    expect(sent).toEqual([]);
    clock.advance(1);
    await until('t', 'TaskDispatched');
  });

  it('ends a task that has not started by its expiry, and leaves a dispatched one alone', async () => {
    const { startDispatcher, accept, until, typesOf, eventsOf, settled, clock, sent } = await system();
    await startDispatcher();
    await accept('waiting', { delayMs: 5_000, expiresInMs: 4_000 });
    await accept('dispatched', { expiresInMs: 4_000 });
    await until('dispatched', 'TaskDispatched');
    clock.advance(4_000);
    await until('waiting', 'TaskFailedPermanently');
    expect((await eventsOf('waiting')).at(-1)?.data).toEqual({ reason: 'expired', attempts: 0 });
    clock.advance(10_000);
    await settled();
    expect(await typesOf('dispatched')).toEqual(['TaskAccepted', 'TaskDispatched']);
    expect(sent.map(({ taskId }) => taskId)).toEqual(['dispatched']);
  });

  it('keeps at most a window of attempts handed out, and goes on as outcomes come', async () => {
    const { startDispatcher, accept, complete, start, sent, settled } = await system();
    const dispatcher = await startDispatcher({ window: 2 });
    for (const taskId of ['a', 'b', 'c', 'd', 'e']) await accept(taskId);
    await settled();
    expect(sent.map(({ taskId }) => taskId)).toEqual(['a', 'b']);
    expect(dispatcher.gauges.outstanding).toBe(2);
    await start('a', 1);
    await complete('a', 1);
    await settled();
    expect(sent.map(({ taskId }) => taskId)).toEqual(['a', 'b', 'c']);
    for (const taskId of ['b', 'c', 'd', 'e']) {
      await eventually(() => sent.some((job) => job.taskId === taskId));
      await start(taskId, 1);
      await complete(taskId, 1);
    }
    await eventually(() => dispatcher.gauges.closedTasks === 5);
    expect(dispatcher.gauges.outstanding).toBe(0);
  });

  it('counts what an earlier dispatcher handed out against the window', async () => {
    const { startDispatcher, stopDispatchers, accept, settled, sent } = await system();
    await startDispatcher({ window: 2 });
    for (const taskId of ['a', 'b', 'c']) await accept(taskId);
    await settled();
    await stopDispatchers();
    const next = await startDispatcher({ window: 2 });
    await settled();
    expect(sent.length).toBe(2);
    expect(next.gauges.outstanding).toBe(2);
  });

  it('takes the highest priority first when the window has room', async () => {
    const { startDispatcher, accept, start, complete, sent, settled } = await system();
    await startDispatcher({ window: 1 });
    await accept('first');
    await settled();
    await accept('low');
    await accept('high', { priority: 9 });
    await settled();
    await start('first', 1);
    await complete('first', 1);
    await settled();
    expect(sent.map(({ taskId }) => taskId)).toEqual(['first', 'high']);
  });

  it('cancels a waiting task before it is published', async () => {
    const { startDispatcher, accept, record, until, settled, sent, clock, eventsOf } = await system();
    await startDispatcher();
    await accept('t', { delayMs: 1_000 });
    await record('t', 'TaskCancellationRequested', { requestId: 'r', reason: 'not needed', by: 'ann' });
    await until('t', 'TaskCancelled');
    expect((await eventsOf('t')).at(-1)?.data).toEqual({ reason: 'not needed' });
    clock.advance(2_000);
    await settled();
    expect(sent).toEqual([]);
  });

  it('opens a failed task again on request, with a fresh budget and the next attempt number', async () => {
    const { startDispatcher, accept, start, fail, complete, record, until, sent, events } = await system();
    await startDispatcher();
    await accept('t');
    await until('t', 'TaskDispatched');
    await start('t', 1);
    await fail('t', 1, { retryable: false });
    await until('t', 'TaskFailedPermanently');
    await record('t', 'TaskRetryRequested', { requestId: 'r', reason: 'fixed', by: 'ann' });
    await until('t', 'TaskDispatched');
    expect(sent.map(({ attempt }) => attempt)).toEqual([1, 2]);
    await start('t', 2);
    await complete('t', 2);
    expect(fold('t', await events()).end?.kind).toBe('completed');
  });

  it('repeats a publish of unknown outcome after its time, as the same job, unless it was seen running', async () => {
    const { startDispatcher, accept, start, sent, faults, settled, clock, typesOf } = await system();
    await startDispatcher({ sweepMs: 5_000 });
    faults.send = async (_job, real) => {
      await real();
      return { type: 'unknown', detail: 'no answer' };
    };
    await accept('silent');
    await accept('running');
    await eventually(() => sent.length === 2);
    await start('running', 1);
    faults.send = (_job, real) => real();
    clock.advance(4_000);
    await settled();
    expect(sent.length).toBe(2);
    clock.advance(1_100);
    await eventually(async () => (await typesOf('silent')).includes('TaskDispatched'));
    await settled();
    expect(sent.map(({ taskId, attempt, issue }) => [taskId, attempt, issue])).toEqual([
      ['silent', 1, 1],
      ['running', 1, 1],
      ['silent', 1, 1],
    ]);
    expect(await typesOf('running')).toEqual(['TaskAccepted', 'TaskExecutionStarted', 'TaskDispatched']);
  });

  it('issues a job again that neither the queue nor a worker has, and says so; then the attempt goes on', async () => {
    const { startDispatcher, accept, start, complete, until, deliveries, sent, clock, presence, settled, eventsOf, typesOf } = await system();
    await startDispatcher({ window: 2 });
    for (const taskId of ['lost', 'held']) await accept(taskId);
    await eventually(() => deliveries.length === 2);
    const of = (taskId: string) => deliveries.find(({ job }) => job.taskId === taskId && job.issue === 1)!;
    // The queue forgets the one; a worker has the other.
    await of('lost').ack();
    for (let beats = 0; beats < 6; beats++) {
      await presence.write({ workerId: 'w', timeMs: 0, stopped: false, startedAtMs: 0, queues: ['default'], concurrency: 1, held: [{ taskId: 'held', attempt: 1 }] });
      clock.advance(5_000);
      await settled();
    }
    expect(sent.map(({ taskId, attempt, issue }) => [taskId, attempt, issue])).toEqual([['lost', 1, 1], ['held', 1, 1], ['lost', 1, 2]]);
    expect((await eventsOf('lost')).at(-1)).toMatchObject({ type: 'TaskDispatched', data: { attempt: 1, issue: 2, queue: 'default', reason: 'presumed lost' } });
    await start('lost', 1);
    await complete('lost', 1);
    await until('lost', 'TaskExecutionCompleted');
    expect(await typesOf('held')).toEqual(['TaskAccepted', 'TaskDispatched']);
  });

  it('issues a job again however often its queue is lost, and gives up at the sixth loss without that proof, whoever saw the others', async () => {
    const { startDispatcher, stopDispatchers, accept, until, deliveries, faults, sent, clock, settled, eventsOf } = await system();
    await startDispatcher();
    await accept('t');
    const loseNext = async () => {
      await eventually(() => deliveries.length === 1);
      await deliveries.pop()!.ack();
      // Later than it was handed out, and with every issue there is more patience.
      const before = (await eventsOf('t')).length;
      await eventually(async () => {
        clock.advance(5_000);
        await settled();
        return (await eventsOf('t')).length > before;
      });
    };
    faults.queueLostAtMs = () => clock.monotonicMs();
    for (let losses = 0; losses < 3; losses++) await loseNext();
    faults.queueLostAtMs = () => null;
    await stopDispatchers();
    await startDispatcher();
    for (let losses = 0; losses < 6; losses++) await loseNext();
    await until('t', 'TaskFailedPermanently');
    expect(sent.map(({ attempt, issue }) => [attempt, issue])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((issue) => [1, issue]));
    const reasons = (await eventsOf('t')).flatMap((event) => (event.type === 'TaskDispatched' ? [event.data.reason] : []));
    expect(reasons).toEqual([undefined, ...Array(3).fill('queue lost'), ...Array(5).fill('presumed lost')]);
    expect((await eventsOf('t')).at(-1)).toMatchObject({ data: { reason: 'reissue-limit', attempts: 1 } });
  });

  it('says that the queue was lost when it was found gone only while the next issue could not be sent', async () => {
    const { startDispatcher, accept, until, deliveries, faults, clock, settled, eventsOf } = await system();
    await startDispatcher();
    await accept('t');
    await eventually(() => deliveries.length === 1);
    await deliveries[0]!.ack();
    let tries = 0;
    faults.send = () => Promise.resolve({ type: 'not-sent', detail: `away, try ${++tries}` });
    const goOn = async () => {
      clock.advance(5_000);
      await settled();
    };
    for (let sweeps = 0; tries === 0 && sweeps < 10; sweeps++) await goOn();
    expect(tries).toBe(1);
    faults.queueLostAtMs = () => clock.monotonicMs();
    await goOn();
    faults.send = (_job, real) => real();
    await goOn();
    await until('t', 'TaskDispatched');
    expect((await eventsOf('t')).at(-1)).toMatchObject({ data: { issue: 2, reason: 'queue lost' } });
  });

  it('records the missing dispatch of a second issue for presumed lost, whatever its dead dispatcher knew', async () => {
    const { startDispatcher, accept, record, until, eventsOf } = await system();
    await accept('t');
    await record('t', 'TaskDispatched', { attempt: 1, queue: 'default', issue: 1 });
    await record('t', 'TaskExecutionStarted', { attempt: 1, issue: 2, queue: 'default', executionId: 'x', workerId: 'w', handlerVersion: 1, redelivered: false, guarded: true });
    await startDispatcher();
    await until('t', 'TaskDispatched');
    expect((await eventsOf('t')).at(-1)).toMatchObject({ data: { attempt: 1, issue: 2, reason: 'presumed lost' } });
  });

  it('issues a job again for the loss of its queue when it finds that gone', async () => {
    const { startDispatcher, accept, deliveries, faults, clock, settled, eventsOf } = await system();
    await startDispatcher();
    await accept('t');
    await eventually(() => deliveries.length === 1);
    await deliveries[0]!.ack();
    faults.queueIsGone = true;
    await eventually(async () => {
      clock.advance(5_000);
      await settled();
      return deliveries.length === 2;
    });
    await settled();
    expect((await eventsOf('t')).at(-1)).toMatchObject({ type: 'TaskDispatched', data: { issue: 2, reason: 'queue lost' } });
  });

  it('records nothing while the queue refuses, and dispatches by itself afterwards', async () => {
    const { startDispatcher, accept, faults, until, typesOf, settled, clock } = await system();
    const dispatcher = await startDispatcher();
    faults.send = () => Promise.resolve({ type: 'refused', detail: 'full' });
    await accept('t');
    await eventually(() => dispatcher.health().some(({ name, ok }) => name === 'queue' && !ok));
    clock.advance(1_000);
    await settled();
    expect(await typesOf('t')).toEqual(['TaskAccepted']);
    faults.send = (_job, real) => real();
    clock.advance(1_000);
    await until('t', 'TaskDispatched');
    expect(dispatcher.health().every(({ ok }) => ok)).toBe(true);
  });

  it('publishes a job once while the log cannot record its dispatch', async () => {
    const { startDispatcher, accept, faults, until, sent, clock, eventsOf } = await system();
    await startDispatcher();
    let refusals = 0;
    faults.append = () => {
      if (refusals++ < 3) throw new DaybookError('log-unavailable', 'away');
    };
    await accept('t');
    await eventually(async () => {
      clock.advance(1_000);
      return (await eventsOf('t')).some(({ type }) => type === 'TaskDispatched');
    });
    await until('t', 'TaskDispatched');
    expect(sent.length).toBe(1);
  });

  it('appends the missing record of a dispatch whose dispatcher died, and publishes nothing', async () => {
    const { startDispatcher, stopDispatchers, accept, start, faults, typesOf, sent, settled } = await system();
    const doomed = await startDispatcher();
    faults.append = () => {
      throw new DaybookError('log-unavailable', 'died before recording');
    };
    await accept('t');
    await eventually(() => sent.length === 1 && doomed.gauges.unsettled === 1);
    await stopDispatchers();
    faults.append = () => {};
    await start('t', 1);
    await startDispatcher();
    await settled();
    expect(await typesOf('t')).toEqual(['TaskAccepted', 'TaskExecutionStarted', 'TaskDispatched']);
    expect(sent.length).toBe(1);
  });

  it('keeps a task whose outcome came without a start until its dispatch is recorded too', async () => {
    const { startDispatcher, accept, complete, typesOf, sent, settled } = await system();
    await accept('t');
    await complete('t', 1);
    const dispatcher = await startDispatcher();
    await settled();
    expect(await typesOf('t')).toEqual(['TaskAccepted', 'TaskExecutionCompleted', 'TaskDispatched']);
    expect(sent).toEqual([]);
    await eventually(() => dispatcher.gauges.closedTasks === 1);
  });

  it('leaves a partition to its holder, and takes it over whole when the holder stops', async () => {
    const { startDispatcher, accept, start, fail, until, sent, settled, clock, typesOf } = await system();
    const holder = await startDispatcher();
    const heir = await startDispatcher();
    await accept('open');
    await until('open', 'TaskDispatched');
    await accept('delayed', { delayMs: 1_000 });
    await settled();
    expect(sent.map(({ taskId }) => taskId)).toEqual(['open']);
    expect(heir.gauges).toEqual({ openTasks: 0, closedTasks: 0, outstanding: 0, unsettled: 0 });
    await holder.stop(0);
    await eventually(() => heir.gauges.openTasks === 2);
    expect(heir.gauges.outstanding).toBe(1);
    await start('open', 1);
    await fail('open', 1);
    await until('open', 'TaskRetryScheduled');
    clock.advance(1_000);
    await until('delayed', 'TaskDispatched');
    expect((await typesOf('open')).filter((type) => type === 'TaskRetryScheduled')).toHaveLength(1);
    expect(sent.filter(({ taskId, attempt }) => taskId === 'open' && attempt === 1)).toHaveLength(1);
  });

  it('takes over a partition that it is granted while it asks for the end of the log', async () => {
    const { startDispatcher, accept, until, faults } = await system();
    const first = await startDispatcher();
    let answer: (() => void) | undefined;
    faults.endPositions = () => new Promise((resolve) => (answer = resolve));
    const starting = startDispatcher();
    await eventually(() => answer !== undefined);
    faults.endPositions = () => Promise.resolve();
    await first.stop(0);
    answer?.();
    await starting;
    await accept('t');
    await until('t', 'TaskDispatched');
  });

  it('is ready again when the log answers again, though nothing is new in it', async () => {
    const { startDispatcher, faults, clock } = await system();
    let asked = 0;
    faults.endPositions = () => (++asked === 1 ? Promise.reject(new DaybookError('log-unavailable', 'the log is away')) : Promise.resolve());
    const starting = startDispatcher();
    await eventually(() => {
      clock.advance(1_000);
      return asked > 2;
    });
    await starting;
  });

  it('forgets what it knew when the partition is taken away, and acts on nothing of it any more', async () => {
    const { startDispatcher, ownership, accept, until, sent, settled, clock } = await system();
    const dispatcher = await startDispatcher();
    await accept('handed-out');
    await until('handed-out', 'TaskDispatched');
    await accept('delayed', { delayMs: 1_000 });
    await eventually(() => dispatcher.gauges.openTasks === 2);
    expect(dispatcher.health()).toContainEqual({ name: 'partitions', ok: true, detail: 'holds the only partition' });
    await ownership(dispatcher).stop();
    expect(dispatcher.health()).toContainEqual({ name: 'partitions', ok: false, detail: 'takes no part' });
    await eventually(() => dispatcher.gauges.openTasks === 0);
    expect(dispatcher.gauges).toEqual({ openTasks: 0, closedTasks: 0, outstanding: 0, unsettled: 0 });
    clock.advance(5_000);
    await settled();
    expect(sent.map(({ taskId }) => taskId)).toEqual(['handed-out']);
  });

  it('does not act on a task whose history it cannot read', async () => {
    const { startDispatcher, accept, appendAs, settled, sent } = await system();
    await accept('t');
    await appendAs('t', 'TaskTeleported');
    await startDispatcher();
    await settled();
    expect(sent).toEqual([]);
  });
});

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EmbeddedEventAppender } from '../adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../adapters/embedded/embedded-event-reader.ts';
import { EmbeddedJobSender } from '../adapters/embedded/embedded-job-sender.ts';
import { EmbeddedJobs } from '../adapters/embedded/embedded-jobs.ts';
import { EmbeddedOwnershipGroup } from '../adapters/embedded/embedded-partition-ownership.ts';
import { EmbeddedPresence } from '../adapters/embedded/embedded-presence.ts';
import { EmbeddedQueueInspection } from '../adapters/embedded/embedded-queue-inspection.ts';
import { openEmbeddedStore } from '../adapters/embedded/embedded-store.ts';
import { FileSnapshotStore } from '../adapters/file/file-snapshot-store.ts';
import { DaybookError } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import type { Positions } from '../domain/log-record.ts';
import { EventProducer } from '../event-producer/event-producer.ts';
import type { EventCursor, EventReader } from '../ports/event-reader.ts';
import type { Snapshot, SnapshotStore } from '../ports/snapshot-store.ts';
import { eventually } from '../../test/support/eventually.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { silent } from '../../test/support/silent-logger.ts';
import { history, type TaskHistory } from '../../test/support/task-history.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { Dispatcher, type DispatcherSettings } from './dispatcher.ts';
import { OpenTasks } from './open-tasks.ts';
import { Snapshots } from './snapshots.ts';

const settings: Partial<DispatcherSettings> = { snapshots: { everyMs: 60_000, everyRecords: 1_000 } };
/** Histories begin when the clock does. */
const t0 = new ManualClock().nowMs();
const task = (taskId: string) => history(taskId).at(t0);
const running = (taskId: string) => task(taskId).accepted().dispatched(1).started(1, `${taskId}-x`);
const completed = (taskId: string) => running(taskId).completed(1, `${taskId}-x`);

/** A dispatcher on an embedded log and queue, with snapshots in files. Histories are written as other roles would. */
async function system() {
  const clock = new ManualClock();
  const folder = temporaryFolder();
  const log = openEmbeddedStore({ folder, clock });
  const appender = new EmbeddedEventAppender(log);
  const reader = new EmbeddedEventReader(log);
  const jobs = new EmbeddedJobs(log);
  const realSender = new EmbeddedJobSender(jobs);
  const sent: Job[] = [];
  const openedAt: Positions[] = [];
  const saved: Snapshot[] = [];
  const faults = { save: (_snapshot: Snapshot): Promise<void> => Promise.resolve(), next: (): void => {} };
  const files = new FileSnapshotStore({ folder, topic: log.topic, logger: silent });
  const snapshotStore: SnapshotStore = {
    load: (...call) => files.load(...call),
    save: async (snapshot) => {
      await faults.save(snapshot);
      await files.save(snapshot);
      saved.push(snapshot);
    },
    knownLogs: () => files.knownLogs(),
    close: () => files.close(),
  };
  const watchedReader: EventReader = {
    topic: reader.topic,
    identity: () => reader.identity(),
    endPositions: () => reader.endPositions(),
    readAt: (positions) => reader.readAt(positions),
    openCursor: (from, partitions) => {
      openedAt.push(from);
      return faulty(reader.openCursor(from, partitions), () => faults.next());
    },
  };
  const group = new EmbeddedOwnershipGroup();
  let dispatcher: Dispatcher | null = null;
  const begin = async (changes: Partial<DispatcherSettings> = {}) => {
    const producer = new EventProducer(appender, clock, '/daybook/dispatcher/1');
    const sender = { send: (job: Job) => (sent.push(job), realSender.send(job)), queueLostAtMs: () => null };
    dispatcher = new Dispatcher({
      reader: watchedReader,
      ownership: group.join(),
      sender,
      inspection: new EmbeddedQueueInspection(jobs),
      presence: new EmbeddedPresence().reader(),
      producer,
      snapshotStore,
      clock,
      logger: silent,
      settings: { ...settings, ...changes },
    });
    await dispatcher.start();
    return dispatcher;
  };
  const start = async (changes: Partial<DispatcherSettings> = {}) => {
    const started = await begin(changes);
    await eventually(() => started.health().every(({ ok }) => ok));
    return started;
  };
  const stop = async () => {
    await dispatcher?.stop(0);
    dispatcher = null;
  };
  onTestFinished(async () => {
    await stop();
    reader.close();
    await log.close();
  });
  const append = async ({ records }: Pick<TaskHistory, 'records'>) => {
    for (const record of records) await appender.append(record);
  };
  const end = async () => (await reader.endPositions()).get(0) ?? 0;
  const path = join(folder, `${log.topic}.0.snapshot`);
  return { clock, identity: log.identity, files, path, faults, sent, saved, openedAt, begin, start, stop, append, end };
}

function faulty(cursor: EventCursor, beforeNext: () => void): EventCursor {
  return {
    next: async (options) => {
      beforeNext();
      return cursor.next(options);
    },
    positions: () => cursor.positions(),
    wake: () => cursor.wake(),
    close: () => cursor.close(),
  };
}

describe('snapshots of the dispatcher', () => {
  it('are written at an orderly stop, and the next one reads the log from there and does nothing of it again', async () => {
    const { start, stop, append, end, saved, openedAt, sent } = await system();
    for (const each of [completed('a'), running('b'), task('c').accepted({ options: { delayMs: 3_600_000 } })]) await append(each);
    const first = await start();
    const { gauges } = first;
    await stop();
    expect(saved).toMatchObject([{ partition: 0, position: 8 }]);
    const second = await start();
    expect(openedAt).toEqual([new Map(), new Map([[0, 8]])]);
    expect(second.gauges).toEqual(gauges);
    expect(second.gauges).toEqual({ openTasks: 2, closedTasks: 1, outstanding: 1, unsettled: 0 });
    expect({ end: await end(), sent }).toEqual({ end: 8, sent: [] });
    await stop();
    expect(saved.length).toBe(1);
  });

  it('carry what is due, and the payload and the trace are read from the log', async () => {
    const { start, stop, append, clock, sent } = await system();
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { records } = task('c').accepted({ options: { delayMs: 5_000 } });
    await append({ records: records.map((record) => ({ ...record, headers: [...record.headers, ['traceparent', traceparent]] })) });
    await start();
    await stop();
    await start();
    expect(sent).toEqual([]);
    clock.advance(5_000);
    await eventually(() => sent.length === 1);
    expect(sent[0]).toMatchObject({ taskId: 'c', attempt: 1, payload: { to: 'ada@example.org' }, traceparent });
  });

  it('are written after a time, when there is something new, and not otherwise', async () => {
    const { start, append, end, clock, saved } = await system();
    await append(running('a'));
    const dispatcher = await start();
    clock.advance(59_999);
    expect(saved).toEqual([]);
    clock.advance(1);
    await eventually(() => saved.length === 1);
    clock.advance(3_600_000);
    await append(running('b'));
    await eventually(() => dispatcher.gauges.openTasks === 2);
    await eventually(() => saved.length === 2);
    await eventually(async () => (clock.advance(60_000), saved.at(-1)!.position === (await end())));
    const { length } = saved;
    clock.advance(3_600_000);
    expect(saved.length).toBe(length);
  });

  it('are written after a number of records, one at a time', async () => {
    const { start, append, saved, faults } = await system();
    const gate = gateOf();
    let [atOnce, most] = [0, 0];
    faults.save = async () => {
      most = Math.max(most, (atOnce += 1));
      await gate.opened;
      atOnce -= 1;
    };
    const dispatcher = await start({ snapshots: { everyMs: 3_600_000, everyRecords: 3 } });
    for (const taskId of ['a', 'b']) await append(running(taskId));
    await eventually(() => dispatcher.gauges.openTasks === 2 && most > 0);
    expect(saved).toEqual([]);
    gate.open();
    await eventually(() => saved.length >= 1);
    for (const taskId of ['c', 'd']) await append(running(taskId));
    await eventually(() => saved.length >= 2);
    const [first, second] = saved.map(({ position }) => position);
    expect(first).toBeGreaterThanOrEqual(3);
    expect(second! - first!).toBeGreaterThanOrEqual(3);
    expect(most).toBe(1);
  });

  it('are tried again an interval later when they could not be written; dispatching goes on', async () => {
    const { start, append, clock, saved, faults, sent } = await system();
    let tries = 0;
    faults.save = () => Promise.reject(new DaybookError('snapshot-unavailable', `no room, ${(tries += 1)}`));
    const dispatcher = await start({ snapshots: { everyMs: 60_000, everyRecords: 1 } });
    await append(task('a').accepted());
    await eventually(() => sent.length === 1 && tries === 1 && dispatcher.gauges.unsettled === 0);
    await append(task('b').accepted());
    await eventually(() => sent.length === 2);
    expect({ tries, healthy: dispatcher.health().every(({ ok }) => ok) }).toEqual({ tries: 1, healthy: true });
    faults.save = () => Promise.resolve();
    clock.advance(60_000);
    await eventually(() => saved.length > 0);
  });

  it('of another fold, or broken ones, are as good as none', async () => {
    const { start, stop, append, identity, files, path, openedAt } = await system();
    await append(completed('a'));
    for (const spoil of [async () => writeFileSync(path, 'not a snapshot'), () => files.save({ partition: 0, logIdentity: identity, position: 2, body: Buffer.from('{}\n') })]) {
      await spoil();
      expect((await start()).gauges.closedTasks).toBe(1);
      expect(openedAt.at(-1)).toEqual(new Map());
      await stop();
    }
  });

  it.each([
    ['of another log', (identity: string) => ({ logIdentity: `not-${identity}`, position: 1 }), /was made of log not-(.+), but the log here is \1/],
    ["beyond the log's end", (identity: string) => ({ logIdentity: identity, position: 99 }), /stands at offset 99, but the log ends at 1/],
  ])('%s keep it from acting until they are removed', async (_what, of, message) => {
    const { begin, append, clock, identity, files, path, sent, end } = await system();
    await append(task('a').accepted());
    await files.save({ partition: 0, body: new Uint8Array(), ...of(identity) });
    const dispatcher = await begin();
    const detail = await eventually(() => dispatcher.health().find(({ ok, detail: text }) => !ok && message.test(text))?.detail);
    expect(detail).toMatch(/history was lost|records are gone/);
    for (let round = 0; round < 3; round++) {
      clock.advance(1_000);
      await eventually(() => clock.pendingTimers > 0);
    }
    expect({ sent, end: await end() }).toEqual({ sent: [], end: 1 });
    rmSync(path);
    await eventually(() => (clock.advance(1_000), sent.length === 1));
    await eventually(() => (clock.advance(1_000), dispatcher.health().every(({ ok }) => ok)));
  });

  it('of another log that turn up while it runs end its acting', async () => {
    const { start, append, clock, faults, sent } = await system();
    faults.save = () => Promise.reject(new DaybookError('history-lost', 'the snapshot was made of log x, but the log here is y'));
    const dispatcher = await start({ snapshots: { everyMs: 60_000, everyRecords: 1 } });
    await append(task('a').accepted({ options: { delayMs: 5_000 } }));
    await eventually(() => dispatcher.health().some(({ ok, detail }) => !ok && detail.includes('log x')));
    await append(task('b').accepted());
    await eventually(() => dispatcher.gauges.openTasks === 2);
    clock.advance(5_000);
    await append(task('c').accepted());
    await eventually(() => dispatcher.gauges.openTasks === 3);
    expect(sent).toEqual([]);
  });
});

it('acts on nothing any more once the log that it has read is gone', async () => {
  const { start, append, clock, faults, sent } = await system();
  const dispatcher = await start();
  await append(task('a').accepted({ options: { delayMs: 5_000 } }));
  await eventually(() => dispatcher.gauges.openTasks === 1);
  faults.next = () => {
    throw new DaybookError('history-lost', 'its id was x, now it is y');
  };
  await append(task('b').accepted());
  await eventually(() => dispatcher.health().some(({ ok, detail }) => !ok && detail.includes('its id was x, now it is y')));
  sent.length = 0;
  for (let round = 0; round < 10; round++) {
    clock.advance(1_000);
    await eventually(() => clock.pendingTimers > 0);
  }
  expect(sent).toEqual([]);
  expect(dispatcher.health().every(({ ok }) => ok)).toBe(false);
});

it('snapshots are not written of a partition that is catching up, until it has', async () => {
  const folder = temporaryFolder();
  const tasks = new OpenTasks();
  const store = new FileSnapshotStore({ folder, topic: 'tasks', logger: silent });
  const snapshots = new Snapshots({ store, tasks, clock: new ManualClock(), logger: silent, settings: { everyMs: 60_000, everyRecords: 1 }, onWritten: () => {} });
  await snapshots.restore([0], 'log-1', new Map([[0, 9]]));
  const positions = new Map([[0, 5]]);
  const catchingUp = new Map([[0, 9]]);
  snapshots.writeDue(positions, catchingUp);
  await snapshots.writeAll(positions, catchingUp);
  expect({ kept: await store.load(0, 'log-1'), dueInMs: snapshots.nextDueInMs(positions, catchingUp) }).toEqual({ kept: null, dueInMs: null });
  expect(snapshots.nextDueInMs(positions, new Map())).toBe(0);
  snapshots.writeDue(positions, new Map());
  await eventually(async () => (await store.load(0, 'log-1'))?.position === 5);
});

function gateOf() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

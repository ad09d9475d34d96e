import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startDoomedProcess } from '../../../test/support/doomed-process.ts';
import { openEmbeddedAdapters, type EmbeddedAdapters } from '../../../test/support/embedded-adapters.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { hasCode } from '../../domain/errors.ts';
import type { Job } from '../../domain/job.ts';
import type { LogRecord, StoredRecord } from '../../domain/log-record.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import { openEmbeddedLogReader } from './embedded-log-reader.ts';
import { openEmbeddedStore } from './embedded-store.ts';

describe('the lock of a data folder', () => {
  it('keeps a second writer out, of this process too, and names folder and owner', async () => {
    const folder = temporaryFolder();
    open(folder);
    const error = thrownBy(() => openEmbeddedStore({ folder, clock: new ManualClock() }));
    expect(hasCode(error, 'folder-in-use')).toBe(true);
    expect(String(error)).toContain(folder);
    expect(String(error)).toContain(String(process.pid));
  });

  it('keeps out a writer of another process, and falls with it when it is killed', async () => {
    const folder = temporaryFolder();
    const other = await startDoomedProcess(folder);
    expect(hasCode(thrownBy(() => openEmbeddedStore({ folder, clock: new ManualClock() })), 'folder-in-use')).toBe(true);
    await other.kill();
    expect(() => open(folder)).not.toThrow();
  });

  it('is free after closing, and is not taken by an opening that failed', async () => {
    const folder = temporaryFolder();
    await open(folder).close();
    editMeta(folder, "UPDATE meta SET value = '99' WHERE name = 'format'");
    const error = thrownBy(() => openEmbeddedStore({ folder, clock: new ManualClock() }));
    expect(hasCode(error, 'configuration-invalid')).toBe(true);
    expect(String(error)).toContain('99');
    editMeta(folder, "UPDATE meta SET value = '1' WHERE name = 'format'");
    expect(() => open(folder)).not.toThrow();
  });
});

it('names the folder that cannot be opened', () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  const error = thrownBy(() => openEmbeddedStore({ folder: join(file, 'data'), clock: new ManualClock() }));
  expect(hasCode(error, 'log-unavailable')).toBe(true);
  expect(String(error)).toContain(join(file, 'data'));
});

describe('a reader beside the writer', () => {
  it('reads a folder that nobody writes, also one whose writer was killed', async () => {
    const folder = temporaryFolder();
    const doomed = await startDoomedProcess(folder);
    for (let index = 0; index < 5; index += 1) await doomed.append(record(index));
    await doomed.kill();
    expect((await readAll(beside(folder))).map(indexOf)).toEqual([0, 1, 2, 3, 4]);
    await open(folder).close();
    expect((await readAll(beside(folder))).map(indexOf)).toEqual([0, 1, 2, 3, 4]);
  });

  it('does not make a log where there is none', () => {
    const folder = join(temporaryFolder(), 'empty');
    mkdirSync(folder);
    expect(hasCode(thrownBy(() => openEmbeddedLogReader(folder)), 'log-unavailable')).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('follows the log from a thread of its own', async () => {
    const folder = temporaryFolder();
    const { appender } = open(folder);
    const worker = new Worker(
      `import { parentPort } from 'node:worker_threads';
       const { openEmbeddedLogReader } = await import(${JSON.stringify(new URL('embedded-log-reader.ts', import.meta.url).href)});
       const cursor = openEmbeddedLogReader(${JSON.stringify(folder)}).openCursor(new Map());
       let count = 0;
       while (count < 500) count += (await cursor.next({ maxRecords: 64, waitMs: 5000 })).length;
       parentPort.postMessage(count);`,
      { eval: true, execArgv: ['--input-type=module'] },
    );
    onTestFinished(async () => void (await worker.terminate()));
    const counted = once(worker, 'message');
    for (let index = 0; index < 500; index += 50) await Promise.all(upTo(50).map((each) => appender.append(record(index + each))));
    expect(await counted).toEqual([500]);
  });

  it('says that history was lost where rows are missing, instead of stepping over them', async () => {
    const folder = temporaryFolder();
    const writer = open(folder);
    for (let index = 0; index < 4; index += 1) await writer.appender.append(record(index));
    await writer.close();
    editMeta(folder, 'DELETE FROM log WHERE first = 2');
    const cursor = beside(folder).openCursor(new Map());
    expect((await cursor.next({ maxRecords: 10, waitMs: 0 })).map(indexOf)).toEqual([0, 1]);
    await expect(cursor.next({ maxRecords: 10, waitMs: 0 })).rejects.toSatisfy((error) => hasCode(error, 'history-lost'));
  });
});

describe('a writer that is killed under load', () => {
  it('loses nothing that it acknowledged, time after time, and leaves no gap', async () => {
    const folder = temporaryFolder();
    const acknowledged = { records: new Map<number, number>(), jobs: new Set<string>(), outcomes: new Set<string>() };
    let next = 0;
    for (let round = 0; round < 5; round += 1) {
      const doomed = await startDoomedProcess(folder);
      const [records, jobs, outcomes] = [acknowledged.records.size, acknowledged.jobs.size, acknowledged.outcomes.size];
      const work = async (index: number): Promise<void> => {
        const taskId = `task-${index}`;
        acknowledged.records.set((await doomed.append(record(index))).offset, index);
        if ((await doomed.send(job(taskId))).type === 'confirmed') acknowledged.jobs.add(taskId);
        const execution = { taskId, attempt: 1, executionId: taskId };
        await doomed.claim({ ...execution, workerId: 'w', leaseMs: 1_000 });
        await doomed.storeOutcome(execution, { completed: true, eventId: taskId, record: record(index) });
        acknowledged.outcomes.add(taskId);
      };
      // Never awaited as a whole: what is under way when the process dies has no answer.
      const inFlight = (): void => void work((next += 1)).then(inFlight, () => undefined);
      for (let caller = 0; caller < 32; caller += 1) inFlight();
      await eventually(() => acknowledged.outcomes.size > outcomes + 200 && acknowledged.records.size > records + 200 && acknowledged.jobs.size > jobs + 200, { timeoutMs: 20_000 });
      await doomed.kill();
    }

    const { reader, receiver, claims, store } = open(folder);
    const all = await readAll(reader);
    expect(all.map(({ offset }) => offset)).toEqual(upTo(all.length));
    for (const [offset, index] of acknowledged.records) expect(indexOf(all[offset] as StoredRecord)).toBe(index);
    const received = new Map<string, boolean>();
    receiver.consume('default', 1_000_000, ({ job: { taskId }, redelivered }) => received.set(taskId, redelivered));
    await eventually(() => [...acknowledged.jobs].every((taskId) => received.has(taskId)));
    expect(new Set(received.values())).toEqual(new Set([true]));
    for (const taskId of acknowledged.outcomes) {
      const answer = await claims.claim({ taskId, attempt: 1, executionId: 'new', workerId: 'w', leaseMs: 1_000 });
      expect(answer).toMatchObject({ type: 'finished', outcome: { eventId: taskId } });
    }
    expect(store.database.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
  }, 60_000);
});

describe('a full disk', () => {
  it('fails what it cannot keep and nothing else, and the log goes on without a gap when there is room', async () => {
    const { store, appender, sender, claims, reader } = open(temporaryFolder());
    await appender.append(record(0));
    const pages = Number(store.database.prepare('PRAGMA page_count').get()?.['page_count']);
    store.database.exec(`PRAGMA max_page_count = ${pages + 3}`);
    const large = (index: number): LogRecord => ({ ...record(index), value: new Uint8Array(20_000) });
    let stored = 1;
    await expect((async () => {
      for (;;) {
        await appender.append(large(stored));
        stored += 1;
      }
    })()).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable'));
    const together = await Promise.allSettled([appender.append(large(99)), claims.release({ taskId: 't', attempt: 1, executionId: 'e' }), sender.send(job('t'))]);
    expect(together).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }, { status: 'fulfilled', value: { type: 'unknown' } }]);

    store.database.exec('PRAGMA max_page_count = 1000000');
    expect((await appender.append(large(stored))).offset).toBe(stored);
    expect((await readAll(reader)).map(indexOf)).toEqual(upTo(stored + 1));
    expect((await sender.send(job('t'))).type).toBe('confirmed');
  });
});

describe('the file', () => {
  it('is synced with every commit, and recovers from the loss of power', () => {
    const { database } = open(temporaryFolder()).store;
    expect(database.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA synchronous').get()).toMatchObject({ synchronous: 2 });
  });

  it('refuses a second completion of a task by itself, whatever the claims allow', () => {
    const { database } = open(temporaryFolder()).store;
    const insert = database.prepare(`INSERT INTO claims
      (task_id, attempt, worker_id, lease_epoch, lease_end_ms, deaths, touched_ms, completed) VALUES (?, ?, '', 0, 0, 0, 0, ?)`);
    insert.run('task', 1, 0);
    insert.run('task', 2, 1);
    insert.run('other', 1, 1);
    expect(() => insert.run('task', 3, 1)).toThrow(/UNIQUE/);
  });
});

describe('the claims of a former process', () => {
  it('hold nobody off, since the lock proves that it is gone', async () => {
    const folder = temporaryFolder();
    const clock = new ManualClock();
    const request = { taskId: 'task', attempt: 1, executionId: 'first', workerId: 'w', leaseMs: 60_000 };
    const former = open(folder, clock);
    await former.claims.claim(request);
    await former.close();
    expect(await open(folder, clock).claims.claim({ ...request, executionId: 'second' })).toEqual({ type: 'claimed', deaths: 1 });
  });

  it('are pruned 7 days after they were last touched, and no earlier', async () => {
    const clock = new ManualClock();
    const { claims, store } = open(temporaryFolder(), clock);
    const claim = (taskId: string) => claims.claim({ taskId, attempt: 1, executionId: taskId, workerId: 'w', leaseMs: 1_000 });
    await Promise.all(upTo(1_200).map((index) => claim(`old-${index}`)));
    await claim('renewed');
    clock.advance(7 * 24 * 3_600_000);
    await claim('young');
    await claims.renew({ taskId: 'renewed', attempt: 1, executionId: 'renewed' }, 1_000);
    expect(await claims.prune()).toBe(0);
    clock.advance(1);
    expect(await claims.prune()).toBe(1_200);
    expect(store.database.prepare('SELECT task_id FROM claims').all().map((row) => row['task_id'])).toEqual(['renewed', 'young']);
  });

  it('are not touched when the wall clock jumps', async () => {
    const clock = new ManualClock();
    const { claims } = open(temporaryFolder(), clock);
    const request = { taskId: 'task', attempt: 1, executionId: 'first', workerId: 'w', leaseMs: 60_000 };
    await claims.claim(request);
    clock.jumpTo(clock.nowMs() + 3_600_000);
    expect((await claims.claim({ ...request, executionId: 'second' })).type).toBe('held');
  });
});

function open(folder: string, clock?: ManualClock): EmbeddedAdapters {
  const adapters = openEmbeddedAdapters(folder, clock);
  onTestFinished(() => adapters.close());
  return adapters;
}

function beside(folder: string): EventReader {
  const reader = openEmbeddedLogReader(folder);
  onTestFinished(() => reader.close());
  return reader;
}

function editMeta(folder: string, sql: string): void {
  const database = new DatabaseSync(join(folder, 'log.db'));
  database.exec(sql);
  database.close();
}

async function readAll(reader: EventReader): Promise<StoredRecord[]> {
  const cursor = reader.openCursor(new Map());
  const all: StoredRecord[] = [];
  for (;;) {
    const batch = await cursor.next({ maxRecords: 1_000, waitMs: 0 });
    if (batch.length === 0) return all;
    all.push(...batch);
  }
}

function record(index: number): LogRecord {
  return { key: `task-${index}`, headers: [['index', String(index)]], value: new TextEncoder().encode(`{"index":${index}}`) };
}

function indexOf({ headers }: StoredRecord): number {
  return Number(headers[0]?.[1]);
}

function job(taskId: string): Job {
  return { taskId, attempt: 1, issue: 1, queue: 'default', type: 'test.nothing', typeVersion: 1, payload: null, timeoutMs: 1_000, expiresAtMs: null };
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index);
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown');
}

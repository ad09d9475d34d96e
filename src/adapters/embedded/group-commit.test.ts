import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { CommitError, GroupCommit, type CommitParticipant, type GroupCommitLimits } from './group-commit.ts';

function setUp(limits: Partial<GroupCommitLimits> = {}) {
  const database = new DatabaseSync(':memory:');
  database.exec('CREATE TABLE numbers (value INTEGER PRIMARY KEY)');
  const insert = database.prepare('INSERT INTO numbers VALUES (?)');
  const commits = new GroupCommit(database, limits);
  const log = new Recorder();
  commits.join(log);
  return {
    database,
    commits,
    log,
    add: (value: number, bytes = 0) => commits.run(() => (insert.run(value), value), bytes),
    stored: () => database.prepare('SELECT value FROM numbers ORDER BY value').all().map((row) => Number(row['value'])),
  };
}

/** Writes down what happens to the transactions. */
class Recorder implements CommitParticipant {
  readonly steps: string[] = [];
  begin = () => void this.steps.push('begin');
  beforeCommit = () => void this.steps.push('before');
  committed = () => void this.steps.push('committed');
  rolledBack = () => void this.steps.push('rolled back');
}

it('commits what was queued together in one transaction, in the order of the calls', async () => {
  const { add, log, stored } = setUp();
  expect(await Promise.all([add(3), add(1), add(2)])).toEqual([3, 1, 2]);
  expect(log.steps).toEqual(['begin', 'before', 'committed']);
  expect(stored()).toEqual([1, 2, 3]);
});

it('settles an operation only after its commit', async () => {
  const { add, log } = setUp();
  await add(1);
  expect(log.steps.at(-1)).toBe('committed');
});

it('lets an operation that throws fail alone, with its own error', async () => {
  const { add, commits, log, stored } = setUp();
  const broken = new Error('this one');
  const results = await Promise.allSettled([add(1), commits.run(() => { throw broken; }), add(2), add(1), add(3)]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled']);
  expect(results[1]).toMatchObject({ reason: broken });
  expect(stored()).toEqual([1, 2, 3]);
  expect(log.steps).toEqual(['begin', 'rolled back', 'begin', 'rolled back', 'begin', 'before', 'committed']);
});

it('leaves nothing of an operation that threw after it had written', async () => {
  const { add, commits, database, stored } = setUp();
  const half = commits.run(() => {
    database.exec('INSERT INTO numbers VALUES (77)');
    throw new Error('after the write');
  });
  await Promise.allSettled([half, add(1)]);
  expect(stored()).toEqual([1]);
});

it('fails every operation as not known when the COMMIT fails, and works again afterwards', async () => {
  const { add, database, stored } = setUp();
  // A deferred constraint lets the COMMIT itself fail.
  database.exec(`PRAGMA foreign_keys = 1;
    CREATE TABLE children (parent INTEGER REFERENCES numbers (value) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER orphan AFTER INSERT ON numbers WHEN new.value = 13 BEGIN INSERT INTO children VALUES (999); END`);
  const results = await Promise.allSettled([add(1), add(13), add(2)]);
  for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { name: 'CommitError', reason: 'failed' } });
  expect(stored()).toEqual([]);
  await add(4);
  expect(stored()).toEqual([4]);
});

it('fails every operation as not known when the BEGIN fails', async () => {
  const { add, commits, database } = setUp();
  const inside = commits.run(() => database.exec('COMMIT'));
  await expect(inside).rejects.toMatchObject({ reason: 'failed' });
  database.exec('PRAGMA query_only = 1');
  await expect(add(1)).rejects.toMatchObject({ reason: 'failed' });
});

it('fails every operation as not known on a full disk, and works again when there is room', async () => {
  const { add, commits, database, stored } = setUp();
  database.exec('CREATE TABLE blobs (data BLOB)');
  const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
  database.exec(`PRAGMA max_page_count = ${pages}`);
  const blob = () => commits.run(() => database.prepare('INSERT INTO blobs VALUES (zeroblob(100000))').run());
  const results = await Promise.allSettled([add(1), blob(), add(2)]);
  for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { reason: 'failed' } });
  expect(stored()).toEqual([]);
  await add(5);
  database.exec('PRAGMA max_page_count = 1000000');
  await Promise.all([add(6), blob()]);
  expect(stored()).toEqual([5, 6]);
});

it('refuses at once when too much waits', async () => {
  const { add, stored } = setUp({ maxQueued: 2, maxQueuedBytes: 100 });
  const [first, tooMany] = [add(1, 60), add(2, 60)];
  await expect(tooMany).rejects.toMatchObject({ reason: 'full' });
  const second = add(3, 40);
  await expect(add(4)).rejects.toBeInstanceOf(CommitError);
  await Promise.all([first, second]);
  expect(stored()).toEqual([1, 3]);
});

it('splits what waits into transactions of bounded size, a large operation gets its own', async () => {
  const { add, log } = setUp({ maxBatch: 2, maxBatchBytes: 100 });
  await Promise.all([add(1), add(2), add(3, 60), add(4, 60), add(5, 500), add(6)]);
  expect(log.steps.filter((step) => step === 'committed')).toHaveLength(5);
});

it('refuses what waited too long, without running it', async () => {
  const { add, commits, stored } = setUp({ maxWaitMs: 10, maxBatch: 1 });
  const slow = commits.run(() => blockFor(30));
  const late = add(1);
  await slow;
  await expect(late).rejects.toMatchObject({ reason: 'late' });
  await add(2);
  expect(stored()).toEqual([2]);
});

it('settles what was queued when it is closed, and takes nothing more', async () => {
  const { add, commits, stored } = setUp({ maxBatch: 1 });
  const queued = [add(1), add(2)];
  const [closing, again] = [commits.close(), commits.close()];
  await expect(add(3)).rejects.toMatchObject({ reason: 'closed' });
  await Promise.all([...queued, closing, again]);
  expect(stored()).toEqual([1, 2]);
  await commits.close();
});

/** Stands for a disk that takes its time: the thread does nothing else meanwhile. */
function blockFor(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

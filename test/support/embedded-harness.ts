import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openEmbeddedLogReader, type EmbeddedLogReader } from '../../src/adapters/embedded/embedded-log-reader.ts';
import { EmbeddedPresence } from '../../src/adapters/embedded/embedded-presence.ts';
import { EmbeddedQueueInspection } from '../../src/adapters/embedded/embedded-queue-inspection.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import type { LogPosition } from '../../src/domain/log-record.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { EventLogHarness } from '../contracts/event-log.contract.ts';
import type { ExecutionClaimsHarness } from '../contracts/execution-claims.contract.ts';
import type { JobQueueHarness } from '../contracts/job-queue.contract.ts';
import type { PresenceHarness } from '../contracts/presence.contract.ts';
import type { QueueInspectionHarness } from '../contracts/queue-inspection.contract.ts';
import { startDoomedProcess, type DoomedProcess } from './doomed-process.ts';
import { openEmbeddedAdapters, type EmbeddedAdapters } from './embedded-adapters.ts';
import { ManualClock } from './manual-clock.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Puts the embedded adapters under the contracts. A crash is a real one: another process, ended by SIGKILL. */
class EmbeddedHarness {
  readonly folder = temporaryFolder();
  readonly #clock: Clock;
  #open: EmbeddedAdapters | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async open(maxJobs?: number): Promise<EmbeddedAdapters> {
    this.#open = openEmbeddedAdapters(this.folder, this.#clock, maxJobs === undefined ? {} : { maxJobs });
    return this.#open;
  }

  async reopenAfterCrash(work: (doomed: DoomedProcess) => Promise<unknown>): Promise<EmbeddedAdapters> {
    await this.close();
    const doomed = await startDoomedProcess(this.folder);
    try {
      await work(doomed);
    } finally {
      await doomed.kill();
    }
    return this.open();
  }

  /** SQLite refuses every write, as on a disk that was remounted read-only. */
  async refuseWrites(): Promise<() => Promise<void>> {
    const { database } = this.opened.store;
    database.exec('PRAGMA query_only = 1');
    return async () => database.exec('PRAGMA query_only = 0');
  }

  /** Changes the file while nobody has it open. */
  edit<Result>(change: (database: DatabaseSync) => Result): Result {
    const database = new DatabaseSync(join(this.folder, 'log.db'));
    try {
      return change(database);
    } finally {
      database.close();
    }
  }

  get opened(): EmbeddedAdapters {
    if (!this.#open) throw new Error('The harness has nothing open');
    return this.#open;
  }

  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
  }
}

export async function embeddedEventLogHarness(): Promise<EventLogHarness> {
  const harness = new EmbeddedHarness(new SystemClock());
  const beside: EmbeddedLogReader[] = [];
  return {
    open: () => harness.open(),
    async openReader() {
      const reader = openEmbeddedLogReader(harness.folder);
      beside.push(reader);
      return reader;
    },
    reopenAfterCrash: (work) => harness.reopenAfterCrash(work),
    breakLog: () => harness.refuseWrites(),
    async plantCorruptRecord(): Promise<LogPosition> {
      return harness.edit((database) => {
        const end = Number(database.prepare('SELECT max(first + n) AS end FROM log').get()?.['end']);
        database.prepare('INSERT INTO log VALUES (?, 1, 0, ?)').run(end, Buffer.from('this is no record'));
        return { partition: 0, offset: end };
      });
    },
    async deleteLog() {
      for (const file of ['log.db', 'log.db-wal', 'log.db-shm']) rmSync(join(harness.folder, file), { force: true });
    },
    tooManyBytes: 1024 * 1024 + 1,
    deadlineMs: 4_000,
    async close() {
      for (const reader of beside) reader.close();
      await harness.close();
    },
  };
}

export async function embeddedJobQueueHarness(): Promise<JobQueueHarness> {
  const harness = new EmbeddedHarness(new SystemClock());
  return {
    open: () => harness.open(),
    reopenAfterCrash: (work) => harness.reopenAfterCrash(work),
    openWithRoomFor: (jobs) => harness.open(jobs),
    breakQueue: () => harness.refuseWrites(),
    async plantMalformedJob(queue) {
      harness.edit((database) => {
        const insert = database.prepare("INSERT INTO jobs (queue, task_id, attempt, issue, body) VALUES (?, '?', 0, 0, ?)");
        insert.run(queue, '{"taskId":17}');
      });
    },
    patienceMs: 5_000,
    parkedJobs: () => harness.opened.receiver.parked,
    close: () => harness.close(),
  };
}

export async function embeddedExecutionClaimsHarness(): Promise<ExecutionClaimsHarness> {
  const clock = new ManualClock();
  const harness = new EmbeddedHarness(clock);
  return {
    open: () => harness.open(),
    passTime: async (ms) => clock.advance(ms),
    reopenAfterCrash: (work) => harness.reopenAfterCrash(work),
    breakClaims: () => harness.refuseWrites(),
    close: () => harness.close(),
  };
}

export async function embeddedQueueInspectionHarness(): Promise<QueueInspectionHarness> {
  const harness = new EmbeddedHarness(new SystemClock());
  return {
    async open() {
      const { jobs, sender, receiver } = await harness.open();
      return { sender, receiver, inspection: new EmbeddedQueueInspection(jobs) };
    },
    breakQueue: () => Promise.reject(new Error('not here')),
    deadlineMs: 1_000,
    patienceMs: 5_000,
    close: () => harness.close(),
  };
}

export async function embeddedPresenceHarness(): Promise<PresenceHarness> {
  const presence = new EmbeddedPresence();
  const notHere = () => Promise.reject(new Error('not here'));
  return {
    openWriter: () => presence,
    openReader: () => presence.reader(),
    breakPresence: notHere,
    plantUnreadable: notHere,
    recreatePlace: notHere,
    deadlineMs: 1_000,
    patienceMs: 1_000,
    close: async () => {},
  };
}

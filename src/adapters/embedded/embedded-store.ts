import { mkdirSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { DaybookError } from '../../domain/errors.ts';
import type { Clock } from '../../ports/clock.ts';
import { logPath, prepareLog } from './embedded-schema.ts';
import { lockFolder, type FolderLock } from './folder-lock.ts';
import { GroupCommit, type GroupCommitLimits } from './group-commit.ts';
import { LogTail } from './log-tail.ts';
import { LogWriter } from './log-writer.ts';
import { openDatabase } from './sqlite-database.ts';

export interface EmbeddedStoreOptions {
  /** Made when it is missing. */
  readonly folder: string;
  /** Stamps the log's records and measures the leases of claims. */
  readonly clock: Clock;
  /** The name of the log in receipts, default `task-lifecycle`. */
  readonly topic?: string;
  readonly limits?: Partial<GroupCommitLimits>;
}

/**
 * The data folder of one Daybook process that needs no servers: log, jobs and claims in one SQLite file, written by
 * one connection through one group commit, so that the operations of all roles share their fsyncs. Appender, reader,
 * queue and claims are built on it; it knows none of them.
 *
 * Durability: WAL with synchronous=FULL, so that a committed transaction survives the loss of power.
 */
export class EmbeddedStore {
  readonly folder: string;
  readonly clock: Clock;
  readonly topic: string;
  /** Random, made with the file: another file is another log. */
  readonly identity: string;
  /** Counts the openings of the file: tells the rows of this process from those of former ones. */
  readonly epoch: number;
  readonly database: DatabaseSync;
  readonly commits: GroupCommit;
  readonly log: LogWriter;
  readonly tail: LogTail;
  readonly #lock: FolderLock;
  #closing: Promise<void> | undefined;

  /** Use `openEmbeddedStore`. */
  constructor(options: EmbeddedStoreOptions, database: DatabaseSync, lock: FolderLock) {
    this.folder = options.folder;
    this.clock = options.clock;
    this.topic = options.topic ?? 'task-lifecycle';
    this.database = database;
    this.#lock = lock;
    ({ identity: this.identity, epoch: this.epoch } = prepareLog(database, options.folder));
    this.commits = new GroupCommit(database, options.limits);
    this.tail = new LogTail();
    this.log = new LogWriter(database, options.clock, this.tail);
    this.commits.join(this.log);
  }

  /** Settles what was queued, then closes the file and frees the folder. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.commits.close();
    this.tail.close();
    this.database.close();
    this.#lock.release();
  }
}

/**
 * Opens the folder for writing, and makes the files where they are missing.
 * @throws DaybookError `folder-in-use`: another process writes it
 * @throws DaybookError `log-unavailable`: the folder or the file cannot be opened
 * @throws DaybookError `configuration-invalid`: the file was written by a Daybook with another format
 */
export function openEmbeddedStore(options: EmbeddedStoreOptions): EmbeddedStore {
  let lock: FolderLock | undefined;
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(options.folder, { recursive: true });
    lock = lockFolder(options.folder);
    database = openDatabase(logPath(options.folder));
    return new EmbeddedStore(options, database, lock);
  } catch (cause) {
    database?.close();
    lock?.release();
    if (cause instanceof DaybookError) throw cause;
    throw new DaybookError('log-unavailable', `The data folder ${options.folder} cannot be opened: ${String(cause)}`, { cause });
  }
}

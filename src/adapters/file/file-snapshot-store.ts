import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { DaybookError } from '../../domain/errors.ts';
import type { KnownLog } from '../../ports/known-log.ts';
import type { Logger } from '../../ports/logger.ts';
import { foldVersion, snapshotOfAnotherLog, type Snapshot, type SnapshotStore } from '../../ports/snapshot-store.ts';

export interface FileSnapshotStoreOptions {
  /** Made with the first snapshot. */
  readonly folder: string;
  /** The log whose partitions these are. */
  readonly topic: string;
  readonly logger: Logger;
  /** Default `foldVersion`. */
  readonly version?: number;
}

/** The first line of a file. */
interface Head {
  readonly topic: string;
  readonly partition: number;
  readonly logIdentity: string;
  readonly position: number;
  readonly foldVersion: number;
}

/** A line of lower-case SHA-256 hex, behind everything that it covers: a file that was cut short has none. */
const digestBytes = 65;
const longestHead = 4_096;
const bytesPerWrite = 1024 * 1024;
/** Tells the files that are being written from each other. */
let saves = 0;

/**
 * Snapshots as files, one for each partition: `<topic>.<partition>.snapshot`, a line of JSON, the body, a line with the
 * digest of both. Written beside the former one, forced to the disk, and renamed over it. Several processes may share
 * the folder.
 */
export class FileSnapshotStore implements SnapshotStore {
  readonly #folder: string;
  readonly #topic: string;
  readonly #logger: Logger;
  readonly #version: number;

  constructor({ folder, topic, logger, version = foldVersion }: FileSnapshotStoreOptions) {
    this.#folder = folder;
    this.#topic = topic;
    this.#logger = logger;
    this.#version = version;
  }

  async load(partition: number, logIdentity: string): Promise<Snapshot | null> {
    const path = this.#path(partition);
    try {
      const bytes = await readFile(path);
      const head = headIn(bytes);
      if (head !== null && head.logIdentity !== logIdentity) throw snapshotOfAnotherLog(this.#known(head), logIdentity);
      const body = head === null ? null : bodyIn(bytes);
      if (head === null || body === null) return this.#unusable(path, 'it is broken or cut short');
      if (head.foldVersion !== this.#version) return this.#unusable(path, `it has fold version ${head.foldVersion}, this Daybook has ${this.#version}`);
      return { partition, logIdentity, position: head.position, body };
    } catch (error) {
      if (error instanceof DaybookError) throw error;
      return isMissing(error) ? null : this.#unusable(path, String(error));
    }
  }

  async save({ partition, logIdentity, position, body }: Snapshot): Promise<void> {
    const path = this.#path(partition);
    const fresh = `${path}.${process.pid}-${++saves}.new`;
    try {
      const former = await readHead(path);
      if (former !== null && former.logIdentity !== logIdentity) throw snapshotOfAnotherLog(this.#known(former), logIdentity);
      await mkdir(this.#folder, { recursive: true });
      await writeDurably(fresh, { topic: this.#topic, partition, logIdentity, position, foldVersion: this.#version }, body);
      await rename(fresh, path);
      await this.#removeLeftovers(partition);
      await syncFolder(this.#folder);
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => undefined);
      if (error instanceof DaybookError) throw error;
      throw new DaybookError('snapshot-unavailable', `${path} could not be written: ${String(error)}`, { cause: error });
    }
  }

  async knownLogs(): Promise<readonly KnownLog[]> {
    try {
      const heads = await Promise.all((await this.#files(/\.snapshot$/)).map((name) => readHead(join(this.#folder, name))));
      return heads.flatMap((head) => (head === null ? [] : [this.#known(head)]));
    } catch (error) {
      if (isMissing(error)) return [];
      throw new DaybookError('snapshot-unavailable', `the snapshots in ${this.#folder} cannot be read: ${String(error)}`, { cause: error });
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #path(partition: number): string {
    return join(this.#folder, `${this.#topic}.${partition}.snapshot`);
  }

  #known({ partition, logIdentity }: Head): KnownLog {
    const path = this.#path(partition);
    return { identity: logIdentity, keptAs: `the snapshot ${path}`, removal: `stop the dispatchers and delete ${join(this.#folder, `${this.#topic}.*.snapshot`)}` };
  }

  #unusable(path: string, reason: string): null {
    this.#logger.warn({ path, reason }, 'a snapshot is of no use; its partition is folded from its beginning');
    return null;
  }

  /** Names of this topic's files; a topic's name may be the beginning of another one's. */
  async #files(ending: RegExp): Promise<string[]> {
    const names = await readdir(this.#folder);
    const ofTopic = (name: string) => name.startsWith(`${this.#topic}.`) && /^\d+\.snapshot/.test(name.slice(this.#topic.length + 1));
    return names.filter((name) => ofTopic(name) && ending.test(name));
  }

  /** What crashes left behind. Whoever else is writing just now loses its file, and says that it could not save. */
  async #removeLeftovers(partition: number): Promise<void> {
    const own = `${this.#topic}.${partition}.`;
    for (const name of await this.#files(/\.new$/)) if (name.startsWith(own)) await rm(join(this.#folder, name), { force: true });
  }
}

/** Hashes and writes a piece at a time, so that nobody waits for a large one. */
async function writeDurably(path: string, head: Head, body: Uint8Array): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  try {
    const write = async (bytes: Uint8Array) => {
      hash.update(bytes);
      await file.writeFile(bytes);
    };
    await write(Buffer.from(`${JSON.stringify(head)}\n`));
    for (let start = 0; start < body.length; start += bytesPerWrite) await write(body.subarray(start, start + bytesPerWrite));
    await file.writeFile(`${hash.digest('hex')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename durable: it is an entry of the folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Null when there is no file, or its first line is none of ours. */
async function readHead(path: string): Promise<Head | null> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { bytesRead, buffer } = await file.read(Buffer.alloc(longestHead), 0, longestHead, 0);
    return headIn(buffer.subarray(0, bytesRead));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  } finally {
    await file?.close();
  }
}

function headIn(bytes: Buffer): Head | null {
  try {
    const { topic, partition, logIdentity, position, foldVersion: version } = JSON.parse(bytes.toString('utf8', 0, bytes.indexOf('\n'))) as Head;
    const isSound = typeof logIdentity === 'string' && Number.isSafeInteger(position) && Number.isSafeInteger(partition);
    return isSound ? { topic, partition, logIdentity, position, foldVersion: version } : null;
  } catch {
    // Not JSON: the caller says that the snapshot is broken.
    return null;
  }
}

/** Null when the digest is not that of what stands before it. */
function bodyIn(bytes: Buffer): Uint8Array | null {
  const covered = bytes.subarray(0, Math.max(0, bytes.length - digestBytes));
  const digest = createHash('sha256').update(covered).digest('hex');
  if (bytes.toString('latin1', covered.length) !== `${digest}\n`) return null;
  return covered.subarray(covered.indexOf('\n') + 1);
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

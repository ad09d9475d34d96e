import type { LogPosition, Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventCursor, EventReader } from '../../ports/event-reader.ts';
import { EmbeddedEventCursor, nothingToRead, type LogSource } from './embedded-event-cursor.ts';
import { LogFile } from './log-file.ts';

export interface EmbeddedLogReaderOptions {
  /** As the writer names it, default `task-lifecycle`. */
  readonly topic?: string;
  /** How often a waiting cursor looks at the file, default 25 ms. `wake` makes it look at once. */
  readonly pollMs?: number;
}

/**
 * Reads the log of a data folder beside its writer, from another process or thread, without its lock: for the diary's
 * thread, the audit and exports. Works on a folder that nobody writes as well.
 * @throws DaybookError `log-unavailable`: there is no readable log in the folder
 * @throws DaybookError `configuration-invalid`: it has another format
 */
export function openEmbeddedLogReader(folder: string, options: EmbeddedLogReaderOptions = {}): EmbeddedLogReader {
  return new EmbeddedLogReader(folder, options);
}

export class EmbeddedLogReader implements EventReader {
  readonly topic: string;
  readonly #file: LogFile;
  readonly #source: LogSource;

  constructor(folder: string, { topic = 'task-lifecycle', pollMs = 25 }: EmbeddedLogReaderOptions) {
    this.topic = topic;
    this.#file = new LogFile(folder);
    this.#source = {
      read: (from, max) => this.#read(from, max),
      onChange: (end, listener) => this.#poll(end, listener, pollMs),
    };
  }

  identity(): Promise<string> {
    return Promise.resolve(this.#file.identity);
  }

  async endPositions(): Promise<Positions> {
    return new Map([[0, this.#file.end()]]);
  }

  openCursor(from: Positions, partitions?: ReadonlySet<number>): EventCursor {
    return new EmbeddedEventCursor((partitions?.has(0) ?? true) ? this.#source : nothingToRead, from);
  }

  async readAt(positions: readonly LogPosition[]): Promise<ReadonlyArray<StoredRecord | null>> {
    const end = this.#file.end();
    return positions.map(({ partition, offset }) => {
      const exists = partition === 0 && Number.isInteger(offset) && offset >= 0 && offset < end;
      return exists ? (this.#file.read(offset, 1)[0] ?? null) : null;
    });
  }

  /** Idempotent. */
  close(): void {
    this.#file.close();
  }

  /** A file that was replaced grows no more, so a cursor at its end would wait for ever: that is where it is looked for. */
  #read(from: number, max: number): StoredRecord[] {
    const records = this.#file.read(from, max);
    if (records.length === 0) this.#file.requireSameFile();
    return records;
  }

  #poll(end: number, listener: () => void, pollMs: number): () => void {
    const timer = setInterval(() => {
      if (this.#hasMoved(end)) listener();
    }, pollMs);
    return () => clearInterval(timer);
  }

  /** A file that cannot be read counts as moved: the read that follows throws the error where it is caught. */
  #hasMoved(end: number): boolean {
    try {
      return this.#file.end() !== end;
    } catch {
      return true;
    }
  }
}

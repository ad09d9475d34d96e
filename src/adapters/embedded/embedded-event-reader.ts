import type { LogPosition, Positions, StoredRecord } from '../../domain/log-record.ts';
import type { EventCursor, EventReader } from '../../ports/event-reader.ts';
import { EmbeddedEventCursor, nothingToRead, type LogSource } from './embedded-event-cursor.ts';
import type { EmbeddedStore } from './embedded-store.ts';
import { LogFile } from './log-file.ts';

/**
 * Reads the log in the process that writes it: what was committed lately from memory, and anything older from the
 * file. Waiting cursors continue with the commit itself, without polling.
 */
export class EmbeddedEventReader implements EventReader {
  readonly topic: string;
  readonly #store: EmbeddedStore;
  readonly #file: LogFile;
  readonly #source: LogSource;

  constructor(store: EmbeddedStore) {
    this.topic = store.topic;
    this.#store = store;
    // Its own connection cannot see what the writer's has not committed.
    this.#file = new LogFile(store.folder);
    this.#source = {
      read: (from, max) => this.#read(from, max),
      onChange: (_end, listener) => store.tail.onChange(listener),
    };
  }

  identity(): Promise<string> {
    return Promise.resolve(this.#store.identity);
  }

  endPositions(): Promise<Positions> {
    return Promise.resolve(new Map([[0, this.#store.tail.end]]));
  }

  openCursor(from: Positions, partitions?: ReadonlySet<number>): EventCursor {
    return new EmbeddedEventCursor((partitions?.has(0) ?? true) ? this.#source : nothingToRead, from);
  }

  async readAt(positions: readonly LogPosition[]): Promise<ReadonlyArray<StoredRecord | null>> {
    return positions.map(({ partition, offset }) => {
      const exists = partition === 0 && Number.isInteger(offset) && offset >= 0 && offset < this.#store.tail.end;
      return exists ? (this.#read(offset, 1)[0] ?? null) : null;
    });
  }

  /** Closes its connection to the file. Idempotent. */
  close(): void {
    this.#file.close();
  }

  #read(from: number, max: number): StoredRecord[] {
    const { tail } = this.#store;
    return from >= tail.first && from <= tail.end ? tail.read(from, max) : this.#file.read(from, max);
  }
}

import type { StoredRecord } from '../../domain/log-record.ts';

const maxTailBytes = 16 * 1024 * 1024;

interface Commit {
  readonly records: readonly StoredRecord[];
  readonly bytes: number;
}

/**
 * The newest committed records, kept in memory for the readers of the writing process, which then neither ask the
 * disk nor decode. Bounded; older records are in the file.
 */
export class LogTail {
  readonly #commits: Commit[] = [];
  readonly #listeners = new Set<() => void>();
  #bytes = 0;
  #end = 0;

  startAt(end: number): void {
    this.#end = end;
  }

  /** The offset after the last committed record. */
  get end(): number {
    return this.#end;
  }

  /** The first offset that is held here; equal to `end` when none is. */
  get first(): number {
    return this.#commits[0]?.records[0]?.offset ?? this.#end;
  }

  push(records: readonly StoredRecord[], bytes: number): void {
    this.#commits.push({ records, bytes });
    this.#bytes += bytes;
    this.#end += records.length;
    while (this.#bytes > maxTailBytes) this.#bytes -= this.#commits.shift()?.bytes ?? this.#bytes;
    this.#notify();
  }

  /** Records from `from` on, at most `max`. `from` must not lie before `first`. */
  read(from: number, max: number): StoredRecord[] {
    const found: StoredRecord[] = [];
    for (let index = this.#indexOf(from); index < this.#commits.length && found.length < max; index += 1) {
      const records = this.#commits[index]?.records ?? [];
      const start = Math.max(0, from - (records[0]?.offset ?? from));
      for (let at = start; at < records.length && found.length < max; at += 1) found.push(records[at] as StoredRecord);
    }
    return found;
  }

  /** Calls back after every commit that holds records, and at the end; the returned function stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The store is closing: nothing comes any more. */
  close(): void {
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** The commit that holds the offset, by halving. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#commits.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#commits[middle]?.records[0]?.offset ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

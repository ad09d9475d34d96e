import { createHash } from 'node:crypto';

/** One record as somebody found it in the log. */
export interface LogLine {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  /** `name=value,name=value`, in stored order. */
  readonly headers: string;
  /** Of the value's bytes, lower-case hex. */
  readonly sha256: string;
}

/** For `kcat -f`. The size lets the parser notice a value that holds a tab or a line end. */
export const kcatFormat = String.raw`%p\t%o\t%k\t%h\t%S\t%s\n`;

/**
 * Reads one line that kcat wrote in that format.
 * @param line its bytes as latin1, so that each character is one byte
 * @throws Error when it is not such a line
 */
export function parseKcatLine(line: string): LogLine {
  const [partition, offset, key, headers, size, ...rest] = line.split('\t');
  const value = Buffer.from(rest.join('\t'), 'latin1');
  if (key === undefined || headers === undefined || value.length !== Number(size)) throw new Error(`kcat wrote a line that is not one record: ${line.slice(0, 200)}`);
  return { partition: Number(partition), offset: Number(offset), key, headers, sha256: sha256Of(value) };
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

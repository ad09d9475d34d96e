import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

export interface IndependentChecksums {
  /** What computed them. */
  readonly by: string;
  /** SHA-256 in lower-case hex, by path; a file that could not be read is missing. */
  readonly sums: ReadonlyMap<string, string>;
}

/** Paths per call of `sha256sum`: far below the longest command line that Linux takes. */
const pathsPerCall = 200;

/**
 * SHA-256 of each file by a program that is not ours, `sha256sum`; where that is missing, by a second pass of Node's
 * own, which proves less.
 */
export async function independentChecksums(paths: readonly string[]): Promise<IndependentChecksums> {
  const sums = new Map<string, string>();
  for (let start = 0; start < paths.length; start += pathsPerCall) {
    const some = await bySha256sum(paths.slice(start, start + pathsPerCall));
    if (some === null) return { by: "Node's crypto, in a second pass", sums: await byNode(paths) };
    for (const [path, sum] of some) sums.set(path, sum);
  }
  return { by: 'sha256sum', sums };
}

/** Null where the program is missing or does not know `--zero`, which keeps odd file names unescaped. */
async function bySha256sum(paths: readonly string[]): Promise<ReadonlyMap<string, string> | null> {
  const child = spawn('sha256sum', ['--zero', '--binary', '--', ...paths], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  const output = await text(child.stdout);
  // 1: some file could not be read; the others are there.
  if (![0, 1].includes((await exited) ?? -1)) return null;
  const lines = output.split('\0').filter((line) => line !== '');
  const sums = new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)] as const));
  return sums.size > 0 ? sums : null;
}

async function byNode(paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const sums = new Map<string, string>();
  for (const path of paths) {
    const hash = createHash('sha256');
    try {
      await pipeline(createReadStream(path), hash);
    } catch {
      // Missing in the answer; the caller counts it as wrong unless the file has changed.
      continue;
    }
    sums.set(path, hash.digest('hex'));
  }
  return sums;
}

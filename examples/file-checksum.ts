import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { defineTask, handle, PermanentFailure } from 'daybook';
import { z } from 'zod';

/** SHA-256 and length of a file. Running it twice does no harm, so it needs no idempotency key. */
export const fileChecksum = defineTask({
  type: 'file.checksum',
  version: 1,
  payload: z.object({ path: z.string().min(1) }),
  result: z.object({ sha256: z.string(), bytes: z.number() }),
  timeout: '5m',
  retry: { maxAttempts: 5, backoff: 'exponential', base: '1s', max: '1m' },
});

export const fileChecksumHandler = handle(fileChecksum, async ({ path }, ctx) => {
  const hash = createHash('sha256');
  let bytes = 0;
  const count = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      yield chunk;
    }
  };
  try {
    // The signal ends the reading on timeout and on shutdown; a file is never held in memory.
    await pipeline(createReadStream(path), count, hash, { signal: ctx.signal });
  } catch (error) {
    throw willStayWrong(error) ? new PermanentFailure(`${path} cannot be read as a file`, { code: codeOf(error), cause: error }) : error;
  }
  return { sha256: hash.digest('hex'), bytes };
});

/** Trying again does not make a file of a missing one or of a folder. A busy disk may recover. */
function willStayWrong(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? 'unknown';
}

import type { IncomingMessage } from 'node:http';
import { finished, Readable } from 'node:stream';

/** The most that is taken of a body that nobody wants: bytes, and the time for it. */
const lingerBytes = 64 * 1_024 * 1_024;
const lingerMs = 10_000;

/** Whether an answer now would come before the request's body has arrived. */
export function hasUnreadBody({ complete, headers }: IncomingMessage): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0);
}

/**
 * An answer that is sent whole at once, and ends only when the rest of the request's body has been taken and dropped,
 * or the bounds above are reached. A connection closed before that is reset, and a client that is still sending finds
 * a broken pipe where the answer would tell it what is wrong.
 */
export function lingeringAnswer(answer: string, request: IncomingMessage): Readable {
  return Readable.from(answerThenRest(answer, request));
}

async function* answerThenRest(answer: string, request: IncomingMessage): AsyncGenerator<string> {
  yield answer;
  await restTaken(request);
}

function restTaken(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const count = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > lingerBytes) end();
    };
    const timer = setTimeout(() => end(), lingerMs);
    // The end of the body, or of the connection.
    const stopWatching = finished(request, () => end());
    const end = () => {
      clearTimeout(timer);
      stopWatching();
      request.off('data', count);
      resolve();
    };
    request.on('data', count);
  });
}

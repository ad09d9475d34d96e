import { DaybookError } from '../../domain/errors.ts';
import type { Clock } from '../../ports/clock.ts';

/**
 * The promise's answer, or `timed-out` when there is none by then. A broker that is frozen, blocked or without a
 * leader for a queue never answers a request, so no request is awaited without this. A later answer is dropped.
 */
export async function answeredWithin<Answer>(clock: Clock, deadlineMs: number, request: string, answer: Promise<Answer>): Promise<Answer> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const expire = () => reject(new DaybookError('timed-out', `RabbitMQ did not answer ${request} within ${deadlineMs} ms`));
    cancel = clock.setTimer(deadlineMs, expire);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    cancel();
  }
}

import { defineTask, handle, PermanentFailure, RetryAfter } from 'daybook';
import { z } from 'zod';

/** Posts an event to somebody else's server. */
export const webhookDeliver = defineTask({
  type: 'webhook.deliver',
  version: 1,
  payload: z.object({ url: z.url(), event: z.string(), body: z.record(z.string(), z.json()) }),
  result: z.object({ status: z.number() }),
  timeout: '10s',
  retry: { maxAttempts: 6, backoff: 'exponential', base: '500ms', max: '1m' },
});

export const webhookDeliverHandler = handle(webhookDeliver, async ({ url, event, body }, ctx) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      // The same for every attempt: a receiver that honours it applies the event once, however often it arrives.
      'idempotency-key': ctx.idempotencyKey,
    },
    body: JSON.stringify({ event, ...body }),
    signal: ctx.signal,
  });
  await response.body?.cancel();
  if (response.ok) return { status: response.status };
  if (response.status === 429 || response.status === 503) {
    throw new RetryAfter(retryAfter(response), `the receiver is busy (${response.status})`);
  }
  if (response.status >= 400 && response.status < 500) {
    throw new PermanentFailure(`the receiver refused the delivery (${response.status})`, { code: `http-${response.status}` });
  }
  throw new Error(`the receiver failed (${response.status})`);
});

/** What the receiver asked for, in seconds; a second where it did not say. */
function retryAfter(response: Response): string {
  const seconds = Number(response.headers.get('retry-after') ?? '1');
  return `${Number.isFinite(seconds) && seconds >= 0 ? seconds : 1}s`;
}

import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { defineTask, handle } from 'daybook';
import { z } from 'zod';

// The tasks of the scenarios whose process dies: `daybook start` loads this file as a user's module. Each run of the
// handler is one line in a ledger, written before anything else happens; the system does not know of it.

const ledger = process.env['EFFECT_LEDGER'];

export const effectTask = defineTask({
  type: 'scenario.effect',
  payload: z.object({
    name: z.string(),
    /** Attempts up to this one fail. */
    failures: z.number().optional(),
    /** The handler waits until this file exists. */
    untilFile: z.string().optional(),
    /** Unless this file exists, the handler makes it and leaves an error behind that nothing catches. */
    uncaught: z.object({ onceFile: z.string(), as: z.enum(['rejection', 'exception']) }).optional(),
  }),
  result: z.object({ attempt: z.number() }),
  // Longer than any server is away on a busy machine: what waits for a file must not time out.
  timeout: '2m',
  retry: { maxAttempts: 3, backoff: 'exponential', base: '40ms', max: '1s' },
});

export default [
  handle(effectTask, async ({ name, failures = 0, untilFile, uncaught }, { taskId, attempt, signal }) => {
    if (ledger !== undefined) appendFileSync(ledger, `${JSON.stringify({ taskId, attempt, pid: process.pid })}\n`);
    if (uncaught !== undefined && !existsSync(uncaught.onceFile)) await leaveUncaught(uncaught);
    while (untilFile !== undefined && !existsSync(untilFile)) await delay(5, undefined, { signal });
    if (attempt <= failures) throw new Error(`${name} fails in attempt ${attempt}`);
    return { attempt };
  }),
];

/** Never returns: the process ends of it. */
async function leaveUncaught({ onceFile, as }: { readonly onceFile: string; readonly as: 'rejection' | 'exception' }): Promise<void> {
  writeFileSync(onceFile, '');
  if (as === 'rejection') void Promise.reject(new RangeError('nobody waits for this'));
  else setTimeout(() => {
    throw new RangeError('nobody catches this');
  });
  await delay(60_000);
}

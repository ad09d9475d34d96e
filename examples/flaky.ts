import { defineTask, handle } from 'daybook';
import { z } from 'zod';

/** Fails twice, then succeeds: what a passing fault looks like in a task's history. */
export const flaky = defineTask({
  type: 'demo.flaky',
  payload: z.object({ name: z.string() }),
  result: z.object({ attempts: z.number() }),
  retry: { maxAttempts: 5, backoff: 'exponential', base: '200ms', max: '5s' },
});

export const flakyHandler = handle(flaky, ({ name }, ctx) => {
  if (ctx.attempt <= 2) throw new Error(`${name} is not ready yet`);
  return { attempts: ctx.attempt };
});

/** Never succeeds: ends as failed when its attempts are used up. */
export const hopeless = defineTask({
  type: 'demo.hopeless',
  payload: z.object({ name: z.string() }),
  retry: { maxAttempts: 3, backoff: 'fixed', base: '200ms' },
});

export const hopelessHandler = handle(hopeless, ({ name }) => {
  throw new Error(`${name} will never work`);
});

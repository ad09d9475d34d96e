import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle, type ChildTask } from '../../src/index.ts';
import { finished, post, type ProblemBody } from '../support/daybook-http.ts';
import { startInProcess } from '../support/daybook-in-process.ts';

const nest = defineTask({ type: 'nest', payload: z.any() });
const wrap = defineTask({ type: 'wrap', payload: z.any() });

it('holds submissions, results and child tasks to one limit of depth, the one that is set', async () => {
  const children: ChildTask[] = [];
  const { url } = await startInProcess({
    depthLimit: 40,
    tasks: [
      handle(nest, (payload) => payload as never),
      handle(wrap, async (payload, { submit }) => {
        children.push(await submit(nest, payload, { key: 'inner' }));
        return [payload] as never;
      }),
    ],
  });

  const within = await post<{ id: string }>(`${url}/v1/tasks`, { type: 'nest', payload: levels(40) });
  expect(within.status).toBe(202);
  expect(await finished(url, within.body.id)).toMatchObject({ state: 'completed', result: levels(40) });

  const wrapped = await post<{ id: string }>(`${url}/v1/tasks`, { type: 'wrap', payload: levels(40), options: { retry: { maxAttempts: 1 } } });
  expect(await finished(url, wrapped.body.id)).toMatchObject({
    state: 'failed', error: { code: 'result-invalid', message: expect.stringContaining('is nested too deeply: at most 40 levels') },
  });
  expect(await finished(url, children[0]?.id ?? '')).toMatchObject({ state: 'completed' });

  const beyond = await post<ProblemBody>(`${url}/v1/tasks`, { type: 'nest', payload: levels(41) });
  expect({ status: beyond.status, code: beyond.body.code }).toEqual({ status: 422, code: 'too-deep' });
});

function levels(count: number): unknown {
  return count === 0 ? 0 : [levels(count - 1)];
}

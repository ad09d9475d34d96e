import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, handle } from '../../src/index.ts';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { eventsOf, finished, get, post, type ProblemBody } from '../support/daybook-http.ts';
import { startInProcess } from '../support/daybook-in-process.ts';

const transfer = defineTask({ type: 'transfer', payload: z.object({ account: z.string(), cents: z.number().int() }) });
const secret = 'NL91-SECRET-0417';

it('records a submission that breaks a rule, without its values, and runs nothing', async () => {
  const { url, folder, daybook } = await startInProcess({ tasks: [handle(transfer, () => expect.unreachable('it ran'))] });

  const { status, headers, body } = await post<ProblemBody>(`${url}/v1/tasks`, { type: 'transfer', payload: { account: secret, cents: 'a lot' } });
  expect({ status, type: headers.get('content-type') }).toMatchObject({ status: 422, type: expect.stringContaining('application/problem+json') as string });
  expect(body).toMatchObject({ status: 422, code: 'payload-invalid', errors: [{ pointer: '/payload/cents' }] });

  const id = body.id ?? '';
  expect(await finished(url, id)).toMatchObject({ state: 'rejected', attempt: 0, type: 'transfer' });
  const events = await eventsOf(url, id);
  expect(events.map(({ type }) => type)).toEqual(['TaskRejected']);
  expect(events[0]?.data).toMatchObject({ taskId: id, type: 'transfer', code: 'payload-invalid', violations: [{ pointer: '/payload/cents' }] });

  const log = await get<{ items: Array<{ headers: object; value: string }> }>(`${url}/v1/log`);
  expect(log.body.items).toHaveLength(1);
  const everything = JSON.stringify(log.body.items.map(({ headers, value }) => [headers, Buffer.from(value, 'base64').toString()]));
  expect(everything).not.toContain(secret);
  expect(everything).not.toContain('a lot');

  await daybook.stop();
  expectGuarantees(await readEvidence(folder));
});

it('records nothing of what is no submission at all', async () => {
  const { url } = await startInProcess({ tasks: [handle(transfer, () => null)] });
  const refused = [
    await post<ProblemBody>(`${url}/v1/tasks`, { type: 'transfer', payload: { account: 'a', cents: 1 }, urgent: true }),
    await post<ProblemBody>(`${url}/v1/tasks`, { type: '../transfer' }),
    await post<ProblemBody>(`${url}/v1/tasks`, []),
  ];
  expect(refused.map(({ status, body }) => [status, body.id])).toEqual(Array.from({ length: 3 }, () => [400, undefined]));
  expect((await get<{ items: unknown[] }>(`${url}/v1/log`)).body.items).toEqual([]);
});

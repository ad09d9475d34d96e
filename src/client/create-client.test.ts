import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { defineTask } from '../task-definition/define-task.ts';
import { createClient, type Client, type SubmittedTask } from './create-client.ts';
import { DaybookProblem, WaitTimeout } from './daybook-problem.ts';

const greet = defineTask({ type: 'greet', version: 2, payload: z.object({ name: z.string() }), result: z.object({ text: z.string() }) });
const receipt = { eventId: 'e', topic: 'task-lifecycle', partition: 0, offset: 7, sha256: 'aa', acceptedAt: '2026-01-01T00:00:00.000Z' };

interface Call {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

let answers: Array<Reply | 'break off'>;
let calls: Call[];
let server: ReturnType<typeof createServer>;
let client: Client;
let url: string;

beforeEach(async () => {
  answers = [];
  calls = [];
  server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createClient({ url });
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

describe('submit', () => {
  it('sends type, version, payload and options, and makes an idempotency key', async () => {
    answers.push({ status: 202, body: { id: 't1', type: 'greet', receipt } });

    const task = await client.submit(greet, { name: 'Ada' }, { priority: 3 });

    expect(task).toMatchObject({ id: 't1', receipt, replayed: false });
    expect(task.idempotencyKey).toMatch(/^[0-9a-f-]{36}$/);
    expect(calls).toMatchObject([
      {
        method: 'POST',
        url: '/v1/tasks',
        headers: { 'content-type': 'application/json', 'idempotency-key': task.idempotencyKey },
        body: { type: 'greet', version: 2, payload: { name: 'Ada' }, options: { priority: 3 } },
      },
    ]);
  });

  it('sends the same key again after a 503 and after a lost connection', async () => {
    answers.push(unavailable('0'), 'break off', { status: 202, headers: { 'idempotency-replayed': 'true' }, body: { id: 't1', type: 'greet', receipt } });

    const task = await client.submit(greet, { name: 'Ada' });

    expect(task.replayed).toBe(true);
    expect(calls).toHaveLength(3);
    expect(new Set(calls.map(({ headers }) => headers['idempotency-key']))).toEqual(new Set([task.idempotencyKey]));
  });

  it('waits as long as Retry-After asks before it sends again', async () => {
    answers.push(unavailable('1'), { status: 202, body: { id: 't1', type: 'greet', receipt } });

    const startedMs = performance.now();
    await client.submit(greet, { name: 'Ada' });

    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(990);
  });

  it('gives up after its retries, and the error names the key that is safe to send again', async () => {
    answers.push(...Array.from({ length: 4 }, () => unavailable('0')));

    const problem = await problemOf(client.submit(greet, { name: 'Ada' }, { idempotencyKey: 'order-7' }));

    expect(problem).toMatchObject({ status: 503, code: 'diary-unavailable', idempotencyKey: 'order-7', unavailable: true });
    expect(calls).toHaveLength(4);
  });

  it('does not repeat what was refused, and tells what the problem document says', async () => {
    answers.push({
      status: 422,
      headers: { 'content-type': 'application/problem+json' },
      body: { status: 422, code: 'payload-invalid', title: 'Invalid', detail: 'it does not fit', requestId: 'r1', id: 't9', errors: [{ pointer: '/name', detail: 'must be text' }] },
    });

    const problem = await problemOf(client.submit('greet', { name: 1 }));

    expect(problem).toMatchObject({
      name: 'DaybookProblem', status: 422, code: 'payload-invalid', detail: 'it does not fit', requestId: 'r1', taskId: 't9',
      errors: [{ pointer: '/name', detail: 'must be text' }],
    });
    expect(calls).toHaveLength(1);
  });

  it('says that nobody answers, and where', async () => {
    const nobody = createClient({ url: 'http://127.0.0.1:9', retries: 0 });

    expect(await problemOf(nobody.submit('greet', {}))).toMatchObject({ status: 0, code: 'unreachable', detail: expect.stringContaining('http://127.0.0.1:9') as string });
  });
});

describe('wait', () => {
  it('asks the server to hold its answer until the task has ended', async () => {
    answers.push({ body: { id: 't1', state: 'running' } }, { body: { id: 't1', state: 'completed', result: { text: 'hi' } } });

    const task = await client.wait('t1', { timeoutMs: 5_000 });

    expect(task.result).toEqual({ text: 'hi' });
    expect(calls[0]?.url).toMatch(/^\/v1\/tasks\/t1\?wait=(5000|499\d)$/);
  });

  it('throws WaitTimeout with the last state when the time is over', async () => {
    answers.push({ body: { id: 't1', state: 'running' } });

    await expect(client.wait('t1', { timeoutMs: 0 })).rejects.toThrow(WaitTimeout);
    expect(calls).toHaveLength(1);
  });
});

describe('list', () => {
  it('follows the cursor from page to page', async () => {
    answers.push({ body: { items: [{ id: 'a' }, { id: 'b' }], next: 'c1', asOf: {} } }, { body: { items: [{ id: 'c' }], next: null, asOf: {} } });

    const ids: string[] = [];
    for await (const task of client.list({ q: 'state:failed', limit: 2 })) ids.push(task.id);

    expect(ids).toEqual(['a', 'b', 'c']);
    expect(calls.map((call) => call.url)).toEqual(['/v1/tasks?q=state%3Afailed&limit=2', '/v1/tasks?q=state%3Afailed&cursor=c1&limit=2']);
  });
});

describe('requests', () => {
  it('does not repeat a cancellation by itself: each one is a record of its own', async () => {
    answers.push(unavailable('0'));

    expect(await problemOf(client.cancel('t1', 'no longer wanted'))).toMatchObject({ status: 503 });
    expect(calls).toMatchObject([{ method: 'POST', url: '/v1/tasks/t1/cancel', body: { reason: 'no longer wanted' } }]);
  });

  it('presents the API key', async () => {
    answers.push({ body: { items: [], next: null, asOf: {} } });

    await createClient({ url, apiKey: 'secret' }).projections();

    expect(calls[0]?.headers.authorization).toBe('Bearer secret');
  });
});

describe('an answer of the wrong role', () => {
  it('is followed to port 3001 of the same host, once, and remembered', async () => {
    const asked: string[] = [];
    const fetchFake = async (input: string | URL | Request): Promise<Response> => {
      const at = new URL(String(input)).origin;
      asked.push(at);
      return at.endsWith(':3001')
        ? Response.json({ id: 't1', state: 'running' })
        : Response.json({ status: 404, code: 'not-this-role', title: 'Another role' }, { status: 404 });
    };
    const split = createClient({ url: 'http://tasks.example:3000', fetch: fetchFake });

    await split.get('t1');
    await split.get('t1');

    expect(asked).toEqual(['http://tasks.example:3000', 'http://tasks.example:3001', 'http://tasks.example:3001']);
  });
});

it('types payload and result by the definition', () => {
  const typed = () => client.submit(greet, { name: 'Ada' });
  expectTypeOf(typed).returns.resolves.toEqualTypeOf<SubmittedTask<{ text: string }>>();
  const waited = (task: SubmittedTask<{ text: string }>) => client.wait(task);
  expectTypeOf(waited).returns.resolves.toHaveProperty('result').toEqualTypeOf<{ text: string } | undefined>();
  // @ts-expect-error a payload that does not fit the definition
  const wrong = () => client.submit(greet, { name: 1 });
  expect(wrong).toBeTypeOf('function');
});

it('refuses an address that is no HTTP URL', () => {
  expect(() => createClient({ url: 'localhost:3000' })).toThrow('use a URL such as http://127.0.0.1:3000');
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk as string;
  calls.push({
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  });
  const answer = answers.shift() ?? { status: 500, body: { code: 'unexpected-call' } };
  if (answer === 'break off') return void request.socket.destroy();
  response.writeHead(answer.status ?? 200, answer.headers ?? {}).end(JSON.stringify(answer.body));
}

function unavailable(retryAfter: string): Reply {
  return { status: 503, headers: { 'retry-after': retryAfter }, body: { status: 503, code: 'diary-unavailable', title: 'Not now' } };
}

async function problemOf(call: Promise<unknown>): Promise<DaybookProblem> {
  const error: unknown = await call.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof DaybookProblem)) throw error;
  return error;
}

import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { checksum, openApiEdge } from '../../../test/support/api-edge.ts';
import { optionNames } from '../../domain/acceptance.ts';
import { taskRequestSchema } from '../../task-api/task-request.ts';
import { CannotListen } from './listening.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[57][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const valid = { type: checksum.type, payload: { path: '/etc/hosts' } };

describe('POST /v1/tasks', () => {
  it('answers 202 with Location, the type and the receipt, and nothing else', async () => {
    const { submit, records } = await openApiEdge();
    const answer = await submit(valid);
    const body = answer.json<{ id: string; receipt: object }>();
    const [record] = await records();
    expect(answer.statusCode).toBe(202);
    expect(answer.headers['location']).toBe(`/v1/tasks/${body.id}`);
    expect(answer.headers['idempotency-replayed']).toBeUndefined();
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(body).toEqual({
      id: expect.stringMatching(uuid) as string,
      type: 'file.checksum',
      receipt: {
        eventId: expect.stringMatching(uuid) as string,
        topic: 'task-lifecycle',
        partition: 0,
        offset: 0,
        sha256: createHash('sha256').update(record?.value ?? '').digest('hex'),
        acceptedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      },
    });
  });

  it('answers 50 parallel calls of one key with one id, one receipt and one record', async () => {
    const { submit, events } = await openApiEdge();
    const answers = await Promise.all(Array.from({ length: 50 }, () => submit(valid, { 'idempotency-key': 'order 17' })));
    expect(new Set(answers.map(({ statusCode, body }) => `${statusCode} ${body}`)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(49);
    expect(await events()).toHaveLength(1);
  });

  it('takes every option that is built', async () => {
    const { submit, events } = await openApiEdge();
    const options = { queue: 'files', priority: 9, notBefore: '10s', expiresAt: '2030-01-01T00:00:00Z', retry: { maxAttempts: 2 }, batch: 'b-1', parent: '0190a0a0-0000-7000-8000-000000000000', tags: { team: 'a' }, tenant: 'default' };
    expect((await submit({ ...valid, version: 1, options })).statusCode).toBe(202);
    expect((await events())[0]?.data).toMatchObject({ submitter: 'anonymous', options: { queue: 'files', priority: 9, delayMs: 10_000, expiresAtMs: Date.UTC(2030, 0, 1) }, batch: 'b-1', tags: { team: 'a' } });
  });

  const deep = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;
  it.each([
    ['an unknown member', { ...valid, extra: 1 }, 400, 'invalid-request', '/extra', false],
    ['an unknown option', { ...valid, options: { prioritty: 1 } }, 400, 'invalid-request', '/options/prioritty', false],
    ['options that are no object', { ...valid, options: [] }, 400, 'invalid-request', '/options', false],
    ['no type', { payload: {} }, 400, 'invalid-request', '/type', false],
    ['a type of other characters', { ...valid, type: 'a/b' }, 400, 'invalid-request', '/type', false],
    ['a type of 129 characters', { ...valid, type: 'a'.repeat(129) }, 400, 'invalid-request', '/type', false],
    ['a version that is no number', { ...valid, version: '1' }, 400, 'invalid-request', '/version', false],
    ['no payload', { type: checksum.type }, 400, 'invalid-request', '/payload', false],
    ['a body that is no object', [], 400, 'invalid-request', '', false],
    ['an unknown type', { ...valid, type: 'file.cheksum' }, 404, 'unknown-type', '/type', true],
    ['an unknown version', { ...valid, version: 7 }, 404, 'unknown-type', '/version', true],
    ['a payload that does not fit', { ...valid, payload: { path: 1 } }, 422, 'payload-invalid', '/payload/path', true],
    ['an option that breaks its rule', { ...valid, options: { priority: 10 } }, 422, 'options-invalid', '/options/priority', true],
    ['an option that is not built', { ...valid, options: { concurrencyKey: 'a' } }, 422, 'options-invalid', '/options/concurrencyKey', true],
    ['a queue that nobody consumes', { ...valid, options: { queue: 'nowhere' } }, 422, 'options-invalid', '/options/queue', true],
    ['a payload of 33 levels', { type: 'any.thing', payload: deep(33) }, 422, 'too-deep', `/payload${'/0'.repeat(32)}`, true],
    ['a payload that is too large', { type: 'any.thing', payload: 'x'.repeat(262_143) }, 413, 'payload-too-large', '/payload', false],
  ])('refuses %s', async (_name, body, status, code, pointer, isRecorded) => {
    const { submit, events } = await openApiEdge();
    const answer = await submit(body);
    const problem = answer.json<{ id?: string; errors: Array<{ pointer: string; detail: string }> }>();
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(problem).toMatchObject({ type: `urn:daybook:problem:${code}`, status, code });
    expect(Object.keys(problem).sort()).toEqual(['code', 'detail', 'errors', ...(isRecorded ? ['id'] : []), 'requestId', 'status', 'title', 'type']);
    expect(problem.errors[0]?.pointer).toBe(pointer);
    const [event] = await events();
    expect(event?.type).toBe(isRecorded ? 'TaskRejected' : undefined);
    expect(event?.taskId).toBe(problem.id);
    if (isRecorded) expect(event?.data).toMatchObject({ code, violations: [{ pointer }] });
  });

  it('takes what is just within the limits: 32 levels, 262,144 bytes', async () => {
    const { submit } = await openApiEdge();
    expect((await submit({ type: 'any.thing', payload: deep(32) })).statusCode).toBe(202);
    expect((await submit({ type: 'any.thing', payload: 'x'.repeat(262_142) })).statusCode).toBe(202);
  });

  it('answers 422 for a key that names other content, and 400 for a key that is none or stands twice', async () => {
    const { submit, app, events } = await openApiEdge();
    await submit(valid, { 'idempotency-key': 'k' });
    const other = await submit({ ...valid, payload: { path: 'b' } }, { 'idempotency-key': 'k' });
    expect([other.statusCode, other.json<{ code: string }>().code]).toEqual([422, 'idempotency-mismatch']);
    for (const key of ['', 'x'.repeat(256), 'a\tb']) expect((await submit(valid, { 'idempotency-key': key })).statusCode).toBe(400);
    const { port } = await app.listen('127.0.0.1', 0);
    const body = JSON.stringify(valid);
    expect(await rawRequest(port, `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)).toMatch(/^HTTP\/1.1 400 /);
    expect(await events()).toHaveLength(1);
  });

  it('answers 503 with Retry-After while the log cannot record, and takes the same key afterwards', async () => {
    const { submit, appender, events } = await openApiEdge();
    appender.fault = 'log-unavailable';
    for (const body of [valid, { ...valid, payload: {} }]) {
      const answer = await submit(body, { 'idempotency-key': 'k' });
      expect([answer.statusCode, answer.headers['retry-after'], answer.json<{ code: string }>().code]).toEqual([503, '1', 'diary-unavailable']);
    }
    appender.fault = null;
    expect((await submit(valid, { 'idempotency-key': 'k' })).statusCode).toBe(202);
    expect(await events()).toHaveLength(1);
  });

  it('answers 500 without a word of what failed, and logs it with the request id', async () => {
    const { submit, appender, lines } = await openApiEdge();
    appender.append = () => Promise.reject(new Error('the cause, which is nobody else’s business'));
    const answer = await submit(valid);
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'internal' });
    expect(answer.body).not.toContain('business');
    const line = lines.map((text) => JSON.parse(text) as Record<string, unknown>).find(({ level }) => level === 'error');
    expect(line).toMatchObject({ requestId: answer.json<{ requestId: string }>().requestId, error: { stack: expect.stringContaining('business') as string } });
  });
});

describe('hostile bodies', () => {
  const head = `{"type":"any.thing","payload":`;
  it.each([
    ['nothing', '', 400],
    ['no JSON', '{"type":', 400],
    ['100,000 levels', `${head}${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 422],
    ['a lone surrogate', `${head}"\\ud800"}`, 422],
    ['__proto__ in the payload', `${head}{"__proto__":{"admin":true}}}`, 422],
    ['constructor in the payload', `${head}{"constructor":{"prototype":{}}}}`, 422],
    ['__proto__ beside the payload', `${head}1,"__proto__":{"version":1}}`, 400],
    ['__proto__ in the options', `${head}1,"options":{"__proto__":{"priority":1}}}`, 400],
    ['2^53 + 1', `${head}9007199254740993}`, 400],
    ['1e999', `${head}1e999}`, 400],
    ['a member twice', `${head}{"a":1,"a":2}}`, 400],
    ['a member twice, once escaped', `${head}{"a":1,"\\u0061":2}}`, 400],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400],
    ['UTF-16', Buffer.from(`${head}1}`, 'utf16le'), 400],
    ['a byte order mark', Buffer.from(`\ufeff${head}1}`), 202],
    ['NUL in a text', `${head}"a\\u0000b"}`, 202],
  ])('%s', async (_name, body, status) => {
    const { submit } = await openApiEdge();
    const answer = await submit(body);
    expect(answer.statusCode, answer.body).toBe(status);
    if (status !== 202) expect(answer.json()).toMatchObject({ status, code: expect.any(String) as string });
  });

  it('takes a body of exactly the limit and refuses one byte more', async () => {
    const { submit } = await openApiEdge({ bodyLimitBytes: 2_000 });
    const bodyOf = (bytes: number) => JSON.stringify(valid).padEnd(bytes, ' ');
    expect((await submit(bodyOf(2_000))).statusCode).toBe(202);
    const answer = await submit(bodyOf(2_001));
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([413, 'payload-too-large']);
  });

  describe('a body far beyond the limit', () => {
    // More than the buffers of both sockets hold, so that the sender is still sending when the answer is ready.
    const length = 32 * 1_024 * 1_024;

    it.each([
      ['a length, Connection: close', `Content-Length: ${length}\r\nConnection: close`, false],
      ['a length, kept alive', `Content-Length: ${length}`, false],
      ['chunks, Connection: close', 'Transfer-Encoding: chunked\r\nConnection: close', true],
    ])('is taken to its end, so that a client that sends first and reads then reads the 413: %s', async (_name, headers, isChunked) => {
      const { app } = await openApiEdge();
      const { port } = await app.listen('127.0.0.1', 0);
      const answer = await sendThenRead(port, `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n`, length, isChunked);
      expect(answer).toMatch(/^HTTP\/1.1 413 /);
      expect(answer).toContain('"code":"payload-too-large"');
    });

    it('is taken to its end for every other answer that comes before it, too', async () => {
      const { app } = await openApiEdge();
      const { port } = await app.listen('127.0.0.1', 0);
      const head = `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
      expect(await sendThenRead(port, head, length, false)).toMatch(/^HTTP\/1.1 415 /);
    });

    it('is answered at once, for a client that reads while it sends', async () => {
      const { app } = await openApiEdge();
      const { port } = await app.listen('127.0.0.1', 0);
      const request = `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{`;
      expect(await firstAnswer(port, request)).toContain('"code":"payload-too-large"');
    });

    it('is not taken for ever', { timeout: 20_000 }, async () => {
      const { app } = await openApiEdge();
      const { port } = await app.listen('127.0.0.1', 0);
      const request = 'POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n';
      expect(await bytesTaken(port, request)).toBeLessThan(100 * 1_024 * 1_024);
    });
  });

  it.each([
    ['text/plain', {}],
    ['application/x-www-form-urlencoded', {}],
    ['application/json; charset=latin1', {}],
    ['application/json', { 'content-encoding': 'gzip' }],
  ])('answers 415 for %s %j', async (contentType, headers) => {
    const { submit } = await openApiEdge();
    const answer = await submit(valid, { 'content-type': contentType, ...headers });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([415, 'unsupported-media-type']);
  });

  it('logs no part of a body or key', async () => {
    const { submit, lines } = await openApiEdge();
    await submit('{"type":"any.thing","payload":"secret-in-body" oops', { 'idempotency-key': 'secret-in-key' });
    await submit({ type: checksum.type, payload: { path: ['secret-in-body'] } }, { authorization: 'Bearer secret-in-key' });
    expect(lines.join('')).not.toContain('secret-in');
    expect(lines.filter((line) => line.includes('a request was refused'))).toHaveLength(2);
  });
});

describe('cancel and retry', () => {
  const id = '0190a0a0-0000-7000-8000-000000000000';

  it.each([
    ['cancel', 'TaskCancellationRequested'],
    ['retry', 'TaskRetryRequested'],
  ])('POST /v1/tasks/{id}/%s records the request', async (verb, type) => {
    const { post, events } = await openApiEdge();
    const answer = await post(`/v1/tasks/${id}/${verb}`, { reason: 'asked by the customer' });
    const [event] = await events();
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toEqual({ id, requestEventId: event?.id, receipt: expect.objectContaining({ eventId: event?.id, offset: 0 }) as object });
    expect(event).toMatchObject({ type, taskId: id, taskType: null, data: { reason: 'asked by the customer', by: 'anonymous' } });
  });

  it.each([{}, { reason: '' }, { reason: 'x'.repeat(501) }, { reason: 1 }, { reason: 'a', force: true }, null])('refuses %j', async (body) => {
    const { post, events } = await openApiEdge();
    const answer = await post(`/v1/tasks/${id}/cancel`, body);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([400, 'invalid-request']);
    expect(await events()).toEqual([]);
  });

  it('answers 404 for what is no task id, and 503 while the log cannot record', async () => {
    const { post, appender } = await openApiEdge();
    expect((await post('/v1/tasks/nonsense/cancel', { reason: 'a' })).json()).toMatchObject({ status: 404, code: 'not-found' });
    appender.fault = 'log-unavailable';
    expect((await post(`/v1/tasks/${id}/retry`, { reason: 'a' })).json()).toMatchObject({ status: 503, code: 'diary-unavailable' });
  });
});

describe('keys', () => {
  const key = 'a-long-random-key';
  const apiKeys = [
    { name: 'other', sha256: createHash('sha256').update('another').digest() },
    { name: 'shop', sha256: createHash('sha256').update(key).digest() },
  ];

  it.each([
    ['none', {}, 401],
    ['a wrong one', { authorization: 'Bearer wrong' }, 401],
    ['the hash instead of the key', { authorization: `Bearer ${apiKeys[1]?.sha256.toString('hex')}` }, 401],
    ['another scheme', { authorization: `Basic ${key}` }, 401],
    ['a bearer without a key', { authorization: 'Bearer ' }, 401],
    ['a valid bearer', { authorization: `Bearer ${key}` }, 202],
    ['a valid bearer in small letters', { authorization: `bearer ${key}` }, 202],
    ['a valid X-Api-Key', { 'x-api-key': key }, 202],
    ['a wrong X-Api-Key', { 'x-api-key': 'wrong' }, 401],
  ])('%s', async (_name, headers, status) => {
    const { submit, events } = await openApiEdge({ apiKeys });
    const answer = await submit(valid, headers as Record<string, string>);
    expect(answer.statusCode).toBe(status);
    if (status === 401) {
      expect(answer.json()).toMatchObject({ code: 'unauthenticated' });
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(await events()).toEqual([]);
    } else expect((await events())[0]?.data).toMatchObject({ submitter: 'shop' });
  });

  it.each(['/v1/tasks', '/%76%31/tasks', '/v1/tasks?x=1', '/v1/tasks/0190a0a0-0000-7000-8000-000000000000/cancel', '/v1/nothing', '/v1'])('are asked for at %s, before the body is read', async (url) => {
    const { post } = await openApiEdge({ apiKeys });
    expect((await post(url, 'no json')).statusCode).toBe(401);
  });

  it.each(['/livez', '/readyz', '/metrics', '/openapi.json', '/docs'])('are not asked for at %s', async (url) => {
    const { app } = await openApiEdge({ apiKeys });
    expect((await app.inject({ method: 'GET', url })).statusCode).toBe(200);
  });
});

describe('other routes', () => {
  it.each([
    ['GET', '/nothing', 'not-found'],
    ['GET', '/v1/nothing', 'not-found'],
    ['POST', '/v1/tasks/batch', 'not-found'],
    ['DELETE', '/v1/tasks', 'not-found'],
    ['GET', '/v1/tasks', 'not-this-role'],
    ['GET', '/v1/tasks?q=state:failed', 'not-this-role'],
    ['GET', '/v1/tasks/0190a0a0-0000-7000-8000-000000000000', 'not-this-role'],
    ['POST', '/v1/projections/tasks/rebuild', 'not-this-role'],
  ] as const)('%s %s is 404 %s', async (method, url, code) => {
    const { app } = await openApiEdge();
    const answer = await app.inject({ method, url });
    expect(answer.statusCode).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(answer.json()).toMatchObject({ code, ...(code === 'not-this-role' ? { role: 'diary', detail: expect.stringContaining('diary') as string } : {}) });
  });

  it('answers a malformed URL with a problem', async () => {
    const { app } = await openApiEdge();
    const answer = await app.inject({ method: 'GET', url: '/%zz' });
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([400, 'application/problem+json; charset=utf-8']);
  });

  it('is not ready while something it needs is away, and alive all the time', async () => {
    let ok = false;
    const { app } = await openApiEdge({ health: () => [{ name: 'log', ok, detail: ok ? 'open' : 'the disk is full' }] });
    const away = await app.inject('/readyz');
    expect([away.statusCode, away.json()]).toEqual([503, { status: 'not-ready', dependencies: { log: { ok: false, detail: 'the disk is full' } } }]);
    expect((await app.inject('/livez')).json()).toEqual({ status: 'ok' });
    ok = true;
    expect((await app.inject('/readyz')).json()).toEqual({ status: 'ready', dependencies: { log: { ok: true, detail: 'open' } } });
  });

  it('counts the problems that it answers', async () => {
    const { app, submit } = await openApiEdge();
    await submit({ ...valid, payload: 1 });
    await submit({ ...valid, payload: 1 });
    await submit('');
    const metrics = (await app.inject('/metrics')).body;
    expect(metrics).toContain('daybook_http_problems_total{code="payload-invalid"} 2');
    expect(metrics).toContain('daybook_http_problems_total{code="invalid-request"} 1');
  });

  it('describes itself, problems included, and needs no network for it', async () => {
    const { app } = await openApiEdge();
    const document = (await app.inject('/openapi.json')).json<{ openapi: string; paths: Record<string, { post: { requestBody: { content: Record<string, { schema: { properties: object } }> }; responses: Record<string, { content: object }> } }> }>();
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).sort()).toEqual(['/v1/tasks', '/v1/tasks/{id}/cancel', '/v1/tasks/{id}/retry']);
    const submit = document.paths['/v1/tasks']?.post;
    expect(Object.keys(submit?.requestBody.content['application/json']?.schema.properties ?? {})).toEqual(['type', 'version', 'payload', 'options']);
    expect(Object.keys(submit?.responses['default']?.content ?? {})).toEqual(['application/problem+json']);
    expect(JSON.stringify(submit?.responses['202'])).toContain('sha256');
    expect(JSON.stringify(document)).not.toContain('#/definitions');
    const page = (await app.inject('/docs')).body;
    expect(page).not.toMatch(/(src|href)="https?:/);
    for (const [, asset] of page.matchAll(/(?:src|href)="\.?\/?([^"]+)"/g)) expect((await app.inject(`/${asset}`)).statusCode, asset).toBe(200);
  });

  it('describes exactly the options that it takes', () => {
    expect(Object.keys(taskRequestSchema.shape.options.unwrap().shape)).toEqual(optionNames);
  });

  it('lets no browser guess, frame or keep an answer', async () => {
    const { app } = await openApiEdge();
    for (const url of ['/livez', '/nothing']) {
      expect((await app.inject(url)).headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
    }
  });
});

describe('listening', () => {
  it('names the port that is taken', async () => {
    const { app } = await openApiEdge();
    const { port, url } = await app.listen('127.0.0.1', 0);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    const second = await openApiEdge();
    const failure: unknown = await second.app.listen('127.0.0.1', port).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CannotListen);
    expect((failure as Error).message).toContain(`port ${port} on 127.0.0.1 is taken`);
  });

  it('answers what is no HTTP with a problem', async () => {
    const { app } = await openApiEdge();
    const { port } = await app.listen('127.0.0.1', 0);
    const answer = await rawRequest(port, 'nonsense\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(answer).toContain('application/problem+json');
  });
});

/** Sends bytes as they are and gives what comes back until the server closes. */
function rawRequest(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setTimeout(5_000, () => reject(new Error('no answer within 5 s')));
    socket.setEncoding('utf8').on('data', (part: string) => (answer += part)).on('close', () => resolve(answer)).on('error', reject);
  });
}

const part = Buffer.alloc(64 * 1_024, ' ');

/** Sends a body and reads only when all of it is sent, as simple clients do. Fails where the connection breaks first. */
async function sendThenRead(port: number, head: string, length: number, isChunked: boolean): Promise<string> {
  const socket = connect(port, '127.0.0.1').pause();
  const frame = isChunked ? Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]) : part;
  await written(socket, head);
  for (let sent = 0; sent < length; sent += part.length) await written(socket, frame);
  if (isChunked) await written(socket, '0\r\n\r\n');
  return answerOn(socket);
}

/** Sends a part of a request, and waits for what comes back meanwhile. */
async function firstAnswer(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  await written(socket, request);
  return answerOn(socket);
}

async function answerOn(socket: Socket): Promise<string> {
  socket.setTimeout(5_000, () => socket.destroy(new Error('no answer within 5 s')));
  let answer = '';
  for await (const text of socket.setEncoding('utf8')) {
    answer += String(text);
    if (answer.endsWith('}')) break;
  }
  return answer;
}

/** Sends without end, and counts what is taken until the server breaks the connection. */
async function bytesTaken(port: number, head: string): Promise<number> {
  const socket = connect(port, '127.0.0.1').resume();
  let taken = 0;
  try {
    for (await written(socket, head); taken < 1_024 ** 3; taken += part.length) await written(socket, part);
  } catch {
    // Broken, as it must be.
  }
  socket.destroy();
  return taken;
}

function written(socket: Socket, bytes: Buffer | string): Promise<void> {
  // The write that met the error tells it.
  if (socket.listenerCount('error') === 0) socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

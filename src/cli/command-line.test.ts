import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DaybookProblem } from '../client/daybook-problem.ts';
import { runCommandLine } from './command-line.ts';
import { exitCodeOf } from './exit-codes.ts';
import { plannedCommands } from './not-built-yet.ts';

interface Reply {
  readonly status?: number;
  readonly body: unknown;
}

const asOf = { positions: { '0': 5 }, time: '2026-11-24T08:00:01.000Z', lagMs: 0 };
const receipt = { eventId: 'e1', topic: 'task-lifecycle', partition: 0, offset: 42, sha256: '9c1f', acceptedAt: '2026-11-24T08:00:00.000Z' };
const task = {
  id: 't1', type: 'file.checksum', typeVersion: 1, state: 'completed', attempt: 1, maxAttempts: 5, queue: 'default', priority: 0,
  payload: { path: 'README.md' }, result: { bytes: 3 }, acceptedAt: '2026-11-24T08:00:00.000Z', finishedAt: '2026-11-24T08:00:00.061Z',
  workerId: 'w1', tags: {}, anomalies: [], links: {}, asOf,
};
const events = { items: [
  { type: 'TaskAccepted', eventId: 'e1', time: '2026-11-24T08:00:00.000Z', topic: 't', partition: 0, offset: 42, headers: {}, data: { submitter: 'anonymous' } },
  { type: 'TaskExecutionCompleted', eventId: 'e2', time: '2026-11-24T08:00:00.061Z', attempt: 1, topic: 't', partition: 0, offset: 45, headers: {}, data: { attempt: 1, durationMs: 47 } },
], next: null, asOf };

let replies: Record<string, Reply>;
let asked: string[];
let server: ReturnType<typeof createServer>;
let url: string;

beforeEach(async () => {
  replies = {};
  asked = [];
  server = createServer((request, response) => {
    const call = `${request.method} ${(request.url ?? '').split('?', 1)[0]}`;
    asked.push(`${request.method} ${request.url}`);
    const { status = 200, body } = replies[call] ?? { status: 404, body: { code: 'not-found', title: 'Not found' } };
    response.writeHead(status, { 'retry-after': '0' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

describe('exit codes', () => {
  it('0: the command did what it says', async () => {
    replies['POST /v1/tasks'] = { status: 202, body: { id: 't1', type: 'file.checksum', receipt } };
    expect(await daybook('task', 'submit', 'file.checksum', '{}')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('t1') as string });
  });

  it('0: help and version are no errors', async () => {
    expect(await daybook('--help')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('daybook demo') as string, stderr: '' });
    expect(await daybook('--version')).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
  });

  it('1: the server refused the payload', async () => {
    replies['POST /v1/tasks'] = problem(422, 'payload-invalid', { errors: [{ pointer: '/path', detail: 'must be text' }], id: 't9' });
    const { exitCode, stderr, stdout } = await daybook('task', 'submit', 'file.checksum', '{"path":1}');
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('/path  must be text');
    expect(stderr).toContain('next: daybook task get t9');
  });

  it('2: an unknown command, with the one that was meant and the help to read', async () => {
    const { exitCode, stderr } = await daybook('task', 'sumbit');
    expect(exitCode).toBe(2);
    expect(stderr).toBe("error: unknown command 'sumbit'\n(Did you mean submit?)\nnext: daybook task --help\n");
  });

  it('2: an unknown option, with the one that was meant', async () => {
    const { exitCode, stderr } = await daybook('task', 'list', '--limt', '3');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Did you mean --limit?');
  });

  it('2: no command, a missing argument, a wrong number, a payload that is not JSON, a filter the server does not know', async () => {
    replies['GET /v1/tasks'] = problem(400, 'unknown-qualifier');
    expect(await daybook()).toMatchObject({ exitCode: 2, stdout: '' });
    expect(await daybook('task', 'get')).toMatchObject({ exitCode: 2 });
    expect(await daybook('task', 'list', '--limit', 'many')).toMatchObject({ exitCode: 2 });
    expect(await daybook('task', 'submit', 'x', '{')).toMatchObject({ exitCode: 2 });
    expect(await daybook('task', 'list', '--q', 'stat:failed')).toMatchObject({ exitCode: 2 });
  });

  it.each([...Object.keys(plannedCommands), 'projection verify', 'demo --chaos'])('2: %s is not built yet, and says so', async (command) => {
    const { exitCode, stderr } = await daybook(...command.split(' '));
    expect(exitCode).toBe(2);
    expect(stderr).toContain('is not built yet');
  });

  it('3: there is no such task', async () => {
    replies['GET /v1/tasks/t1'] = problem(404, 'not-found');
    expect(await daybook('task', 'get', 't1')).toMatchObject({ exitCode: 3 });
  });

  it('3: there is no such type', async () => {
    replies['POST /v1/tasks'] = problem(404, 'unknown-type', { id: 't9' });
    expect(await daybook('task', 'submit', 'file.chksum')).toMatchObject({ exitCode: 3 });
  });

  it('4: the server wants a key', async () => {
    replies['GET /v1/tasks/t1'] = problem(401, 'unauthenticated');
    const { exitCode, stderr } = await daybook('task', 'get', 't1');
    expect(exitCode).toBe(4);
    expect(stderr).toContain('DAYBOOK_API_KEY');
  });

  it('5: the key was used for other content', async () => {
    replies['POST /v1/tasks'] = problem(422, 'idempotency-mismatch');
    expect(await daybook('task', 'submit', 'x', '--idempotency-key', 'k')).toMatchObject({ exitCode: 5 });
  });

  it('6: the log cannot record it now; the error names the key that is safe to send again', async () => {
    replies['POST /v1/tasks'] = problem(503, 'diary-unavailable');
    const { exitCode, stderr } = await daybook('task', 'submit', 'x', '--idempotency-key', 'order-7');
    expect(exitCode).toBe(6);
    expect(stderr).toContain('--idempotency-key order-7');
    expect(asked).toHaveLength(4);
  });

  it('6: nobody answers', async () => {
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const { exitCode, stderr } = await daybook('task', 'get', 't1');
    expect(exitCode).toBe(6);
    expect(stderr).toContain(`no server answers at ${url} (ECONNREFUSED)`);
    expect(stderr).toContain('next: daybook start');
    await new Promise<void>((resolve) => {
      server.listen(0, resolve);
    });
  });

  it('7: the task had not ended in time', async () => {
    replies['GET /v1/tasks/t1'] = { body: { ...task, state: 'running' } };
    const { exitCode, stderr } = await daybook('task', 'wait', 't1', '--timeout', '0ms');
    expect(exitCode).toBe(7);
    expect(stderr).toContain('next: daybook task wait t1');
  });

  it.each(['failed', 'cancelled', 'rejected'])('8: the awaited task is %s, with --json too', async (state) => {
    replies['GET /v1/tasks/t1'] = { body: { ...task, state } };
    replies['GET /v1/tasks/t1/events'] = { body: events };
    expect(await daybook('task', 'wait', 't1')).toMatchObject({ exitCode: 8 });
    expect(await daybook('task', 'wait', 't1', '--json')).toMatchObject({ exitCode: 8 });
  });

  it('78: an address that is no URL, a key file that is not there, servers that answer another role', async () => {
    expect(await daybook('task', 'get', 't1', '--url', 'localhost')).toMatchObject({ exitCode: 78 });
    expect(await daybook('task', 'get', 't1', '--api-key-file', '/nowhere/key')).toMatchObject({ exitCode: 78 });
    expect(exitCodeOf(new DaybookProblem({ status: 404, code: 'not-this-role', detail: 'another role' }))).toBe(78);
  });

  it('78: a mistyped variable, also for a command that only asks a server', async () => {
    const { exitCode, stderr } = await run(['task', 'list'], { DAYBOOK_URLL: 'http://127.0.0.1:1' });
    expect(exitCode).toBe(78);
    expect(stderr).toContain('DAYBOOK_URLL is no setting; did you mean DAYBOOK_URL?');
  });

  it('78: every wrong setting at once', async () => {
    const { exitCode, stderr } = await run(['config'], { DAYBOOK_PORT: 'high', DAYBOOK_LEESE_MS: '1' });
    expect(exitCode).toBe(78);
    expect(stderr).toContain('DAYBOOK_PORT');
    expect(stderr).toContain('DAYBOOK_LEASE_MS');
    expect(stderr).toContain('next: daybook doctor');
  });
});

describe('output', () => {
  it('shows a task with its history, and keeps hints out of stdout', async () => {
    replies['GET /v1/tasks/t1'] = { body: task };
    replies['GET /v1/tasks/t1/events'] = { body: events };
    const { stdout, stderr } = await daybook('task', 'get', 't1');
    expect(stderr).toBe('');
    expect(stdout).toBe(`completed  file.checksum v1  t1
  attempt  1 of 5
  queue    default
  worker   w1
  took     61 ms
  payload  {"path":"README.md"}
  result   {"bytes":3}

  record  time (UTC)                since  event
    0/42  2026-11-24 08:00:00.000   +0 ms  accepted   by anonymous
    0/45  2026-11-24 08:00:00.061  +61 ms  completed  attempt 1, ran 47 ms
`);
  });

  it('prints with --json what the server answered, in one line', async () => {
    replies['GET /v1/tasks/t1'] = { body: task };
    replies['GET /v1/tasks/t1/events'] = { body: events };
    replies['GET /v1/tasks'] = { body: { items: [task], next: 'c2', asOf } };
    expect((await daybook('task', 'get', 't1', '--json')).stdout).toBe(`${JSON.stringify(task)}\n`);
    expect((await daybook('--json', 'task', 'events', 't1')).stdout).toBe(`${JSON.stringify(events)}\n`);
    expect(await daybook('task', 'list', '--json')).toMatchObject({ stdout: `${JSON.stringify({ items: [task], next: 'c2', asOf })}\n`, stderr: '' });
  });

  it('prints with --json one error object on stderr, and nothing on stdout', async () => {
    replies['GET /v1/tasks/t1'] = problem(404, 'not-found');
    const { stdout, stderr } = await daybook('task', 'get', 't1', '--json');
    expect(stdout).toBe('');
    expect(JSON.parse(stderr)).toMatchObject({ error: { exitCode: 3, status: 404, code: 'not-found' } });
  });

  it('submits and waits, and gives the receipt beside the task', async () => {
    replies['POST /v1/tasks'] = { status: 202, body: { id: 't1', type: 'file.checksum', receipt } };
    replies['GET /v1/tasks/t1'] = { body: task };
    const { exitCode, stdout } = await daybook('task', 'submit', 'file.checksum', '{"path":"README.md"}', '--wait', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ...task, receipt });
  });

  it('reads the payload from stdin', async () => {
    replies['POST /v1/tasks'] = { status: 202, body: { id: 't1', type: 'x', receipt } };
    expect(await run(['task', 'submit', 'x', '-', '--url', url], {}, '{"a":1}')).toMatchObject({ exitCode: 0 });
    expect(await run(['task', 'submit', 'x', '-', '--url', url], {}, 'no json')).toMatchObject({ exitCode: 2 });
  });

  it('lists tasks as a table, and says how to see the next page', async () => {
    replies['GET /v1/tasks'] = { body: { items: [task], next: 'c2', asOf } };
    const { stdout, stderr } = await daybook('task', 'list', '--q', 'state:completed', '--limit', '1');
    expect(asked).toEqual(['GET /v1/tasks?q=state%3Acompleted&limit=1']);
    expect(stdout).toBe('id  type           state      attempt  accepted (UTC)            took\nt1  file.checksum  completed      1/5  2026-11-24 08:00:00.000  61 ms\n');
    expect(stderr).toBe('next: daybook task list --q "state:completed" --limit 1 --cursor c2\n');
  });

  it('takes the address from the environment, and a flag wins over it', async () => {
    replies['GET /v1/tasks'] = { body: { items: [], next: null, asOf } };
    expect(await run(['task', 'list'], { DAYBOOK_URL: url })).toMatchObject({ exitCode: 0 });
    expect(await run(['task', 'list', '--url', url], { DAYBOOK_URL: 'http://127.0.0.1:9' })).toMatchObject({ exitCode: 0 });
  });

  it('colours on a terminal only, and not with NO_COLOR or --no-color', async () => {
    replies['GET /v1/tasks'] = { body: { items: [task], next: null, asOf } };
    const list = ['task', 'list', '--url', url];
    expect((await run(list, {}, '', true)).stdout).toContain('\u001b[');
    expect((await run(list, { NO_COLOR: '1' }, '', true)).stdout).not.toContain('\u001b[');
    expect((await run([...list, '--no-color'], {}, '', true)).stdout).not.toContain('\u001b[');
    expect((await run(list, {})).stdout).not.toContain('\u001b[');
  });

  it('lets no text of a task move the cursor', async () => {
    replies['GET /v1/tasks/t1'] = { body: { ...task, error: { name: 'Error', message: '\u001b[2Jgone\nfake line' } } };
    replies['GET /v1/tasks/t1/events'] = { body: events };
    const { stdout } = await daybook('task', 'get', 't1');
    expect(stdout).toContain('error    Error: gone fake line\n');
  });
});

function problem(status: number, code: string, more: object = {}): Reply {
  return { status, body: { type: `urn:daybook:problem:${code}`, status, code, title: code, detail: 'it says no', requestId: 'r1', errors: [], ...more } };
}

function daybook(...args: string[]) {
  return run(args, { DAYBOOK_URL: url });
}

async function run(args: string[], environment: Record<string, string>, stdin = '', isTTY = false) {
  const stdout = Object.assign(new PassThrough(), { isTTY, columns: 120 });
  const stderr = Object.assign(new PassThrough(), { isTTY: false });
  const printed = Promise.all([readText(stdout), readText(stderr)]);
  const exitCode = await runCommandLine(args, { environment, stdin: Readable.from([Buffer.from(stdin)]), stdout, stderr });
  stdout.end();
  stderr.end();
  const [out, err] = await printed;
  return { exitCode, stdout: out, stderr: err };
}

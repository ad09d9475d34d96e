import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = join(root, 'bin/daybook');

let folder: string;
let server: RunningServer;

interface RunningServer {
  readonly url: string;
  readonly pid: number;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

interface TaskAnswer {
  readonly id: string;
  readonly state: string;
  readonly result: unknown;
  readonly receipt: { readonly offset: number; readonly sha256: string };
}

interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daybook-cli-'));
  server = await start({ DAYBOOK_DATA_DIR: join(folder, 'data'), DAYBOOK_TASKS: 'examples/tasks.ts' });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

describe('daybook start', () => {
  it('prints one line when it is ready, with its own pid, and its readiness answers', async () => {
    const response = await fetch(`${server.url}/readyz`);
    expect(response.status).toBe(200);
    expect(process.kill(server.pid, 0)).toBe(true);
  });

  it('ends with 0 on SIGTERM', async () => {
    const other = await start({ DAYBOOK_DATA_DIR: join(folder, 'other') });
    expect(await other.stop('SIGTERM')).toBe(0);
  });

  it('ends with 1 when the port is taken, and names it', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const { exitCode, stdout, stderr } = await daybook(['start', '--port', String(port), '--data-dir', join(folder, 'third')]);
    taken.close();
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain(String(port));
  });

  it('ends with 1 when another process has the data folder', async () => {
    const { exitCode, stderr } = await daybook(['start', '--port', '0', '--data-dir', join(folder, 'data')]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(String(server.pid));
  });

  it.each([
    [['start', 'api'], 'DAYBOOK_KAFKA_BROKERS'],
    [['start', 'worker'], 'DAYBOOK_TASKS'],
    [['start', '--port', 'high'], 'DAYBOOK_PORT'],
  ])('ends with 78 on a wrong configuration: %j', async (args, variable) => {
    const { exitCode, stderr } = await daybook(args);
    expect(exitCode).toBe(78);
    expect(stderr).toContain(variable);
  });
});

describe('daybook task', () => {
  it('submits a task, follows it to its end, and the result is right', async () => {
    const file = join(folder, 'some file');
    await writeFile(file, 'abc');
    const { exitCode, stdout } = await ask('task', 'submit', 'file.checksum', JSON.stringify({ path: file }), '--wait', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      state: 'completed',
      result: { sha256: createHash('sha256').update('abc').digest('hex'), bytes: 3 },
    });
  });

  it('ends with 8 when the awaited task fails, and shows why', async () => {
    const { exitCode, stdout } = await ask('task', 'submit', 'file.checksum', '{"path":"/no/such/file"}', '--wait');
    expect(exitCode).toBe(8);
    expect(stdout).toMatch(/^failed {2}file\.checksum v1/);
    expect(stdout).toContain('not-retryable');
  });

  it('gives the same task for the same key and content, and 5 for other content', async () => {
    const one = await ask('task', 'submit', 'demo.flaky', '{"name":"a"}', '--idempotency-key', 'k1', '--json');
    const two = await ask('task', 'submit', 'demo.flaky', '{"name":"a"}', '--idempotency-key', 'k1', '--json');
    expect(JSON.parse(two.stdout)).toEqual(JSON.parse(one.stdout));
    expect((await ask('task', 'submit', 'demo.flaky', '{"name":"b"}', '--idempotency-key', 'k1')).exitCode).toBe(5);
  });

  it('refuses with 1 what does not fit, with 3 what nobody knows, with 7 what takes too long', async () => {
    expect((await ask('task', 'submit', 'file.checksum', '{"path":7}')).exitCode).toBe(1);
    const unknown = await ask('task', 'submit', 'file.chcksum');
    expect(unknown.exitCode).toBe(3);
    expect(unknown.stderr).toContain('file.checksum');
    expect((await ask('task', 'get', '01890000-0000-7000-8000-000000000000')).exitCode).toBe(3);
    expect((await ask('task', 'submit', 'demo.flaky', '{"name":"slow"}', '--not-before', '1h', '--wait', '--timeout', '200ms')).exitCode).toBe(7);
  });

  it('lists, shows and explains: get, list and events agree', async () => {
    const submitted = await ask('task', 'submit', 'demo.flaky', '{"name":"told"}', '--wait', '--json');
    const { id } = JSON.parse(submitted.stdout) as TaskAnswer;
    const list = JSON.parse((await ask('task', 'list', '--q', 'type:demo.flaky state:completed', '--json')).stdout) as { items: TaskAnswer[] };
    expect(list.items.map((task) => task.id)).toContain(id);
    const events = JSON.parse((await ask('task', 'events', id, '--json')).stdout) as { items: Array<{ type: string }> };
    expect(events.items.filter(({ type }) => type === 'TaskExecutionFailed')).toHaveLength(2);
    const { stdout } = await ask('task', 'get', id);
    expect(stdout.split('\n').filter((line) => line.includes('attempt failed'))).toHaveLength(2);
  });

  it('records the request to cancel a waiting task, and the task ends cancelled', async () => {
    const submitted = await ask('task', 'submit', 'demo.flaky', '{"name":"unwanted"}', '--not-before', '1h', '--json');
    const { id } = JSON.parse(submitted.stdout) as TaskAnswer;
    expect(await ask('task', 'cancel', id)).toMatchObject({ exitCode: 2 });
    expect(await ask('task', 'cancel', id, '--reason', 'no longer wanted')).toMatchObject({ exitCode: 0 });
    const { exitCode, stdout } = await ask('task', 'wait', id, '--timeout', '20s', '--json');
    expect(exitCode).toBe(8);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'cancelled' });
  });
});

describe('daybook projection', () => {
  it('rebuilds the read model beside the live one, and both are equal', async () => {
    const { exitCode, stdout } = await ask('projection', 'rebuild', 'tasks', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'tasks', lastRebuild: { equal: true } });
    expect((await ask('projection', 'list')).stdout).toMatch(/^name .*\ntasks +live/);
    expect((await ask('projection', 'rebuild', 'taks')).exitCode).toBe(3);
  });
});

describe('daybook log export', () => {
  it('gives every record beside the running writer, as GET /v1/log does, and receipts can be checked against it', async () => {
    const submitted = await ask('task', 'submit', 'demo.flaky', '{"name":"exported"}', '--wait', '--json');
    const { receipt } = JSON.parse(submitted.stdout) as TaskAnswer;
    const { exitCode, stdout } = await daybook(['log', 'export', '--data-dir', join(folder, 'data')]);
    expect(exitCode).toBe(0);
    const records = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as RawRecord);
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_record, index) => index));

    const accepted = records[receipt.offset];
    expect(accepted?.headers['ce_type']).toBe('TaskAccepted');
    expect(createHash('sha256').update(Buffer.from(accepted?.value ?? '', 'base64')).digest('hex')).toBe(receipt.sha256);

    const response = await fetch(`${server.url}/v1/log?partition=0&offset=${receipt.offset}&limit=1`);
    const page = (await response.json()) as { items: RawRecord[] };
    expect(page.items).toEqual([accepted]);
  });

  it('ends with 1 where there is no log', async () => {
    expect(await daybook(['log', 'export', '--data-dir', join(folder, 'nothing')])).toMatchObject({ exitCode: 1, stdout: '' });
  });

  it('ends quietly, with 0, when its reader has gone', async () => {
    await ask('task', 'submit', 'demo.hopeless', '{"name":"written"}', '--wait');
    const command = `("${bin}" log export --data-dir "${join(folder, 'data')}"; echo "exit code $?" >&2) | true`;
    const child = spawn('sh', ['-c', command], { cwd: root, env: environment({}), stdio: ['ignore', 'ignore', 'pipe'] });
    expect(await readText(child.stderr)).toBe('exit code 0\n');
  });
});

describe('daybook doctor and config', () => {
  it('finds everything in order beside the running server', async () => {
    const { exitCode, stdout } = await daybook(['doctor', '--json'], {
      DAYBOOK_URL: server.url, DAYBOOK_PORT: new URL(server.url).port, DAYBOOK_DATA_DIR: join(folder, 'data'), DAYBOOK_TASKS: 'examples/tasks.ts',
    });
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
    expect(exitCode).toBe(0);
  });

  it('fails when a named server does not answer, and when the task module is missing', async () => {
    const { exitCode, stdout } = await daybook(['doctor', '--json'], { DAYBOOK_URL: 'http://127.0.0.1:2', DAYBOOK_PORT: '0', DAYBOOK_TASKS: 'missing.ts' });
    const { checks } = JSON.parse(stdout) as { checks: Array<{ name: string; finding: string }> };
    expect(exitCode).toBe(1);
    expect(checks.filter(({ finding }) => finding === 'failed').map(({ name }) => name)).toEqual(['task modules', 'server']);
  });

  it('prints settings, and never a secret', async () => {
    const { exitCode, stdout } = await daybook(['config', '--lease-ms', '9000'], { DAYBOOK_API_KEY: 'very-secret' });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/DAYBOOK_LEASE_MS +9000 ms/);
    expect(stdout).not.toContain('very-secret');
  });
});

describe('authentication', () => {
  it('is 4 without the key, and 0 with the key from a file', async () => {
    await writeFile(join(folder, 'key'), 'open-sesame\n');
    await writeFile(join(folder, 'keys'), `ali:${createHash('sha256').update('open-sesame').digest('hex')}\n`);
    const locked = await start({ DAYBOOK_DATA_DIR: join(folder, 'locked'), DAYBOOK_API_KEYS_FILE: join(folder, 'keys') });
    try {
      const list = ['task', 'list', '--url', locked.url];
      expect((await daybook(list)).exitCode).toBe(4);
      expect((await daybook([...list, '--api-key-file', join(folder, 'key')])).exitCode).toBe(0);
      expect((await daybook(list, { DAYBOOK_API_KEY: 'open-sesame' })).exitCode).toBe(0);
    } finally {
      await locked.stop();
    }
  });
});

function ask(...args: string[]) {
  return daybook(args, { DAYBOOK_URL: server.url });
}

async function daybook(args: readonly string[], settings: Readonly<Record<string, string>> = {}) {
  const child = spawn(bin, args, { cwd: root, env: environment(settings), stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, exitCode] = await Promise.all([
    readText(child.stdout),
    readText(child.stderr),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  return { exitCode, stdout, stderr };
}

/** Starts a server on a free port and waits for its ready line. */
async function start(settings: Readonly<Record<string, string>>): Promise<RunningServer> {
  const child = spawn(bin, ['start'], { cwd: root, env: environment({ DAYBOOK_PORT: '0', ...settings }), stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const stderr = readText(child.stderr);
  const ready = new Promise<{ port: number; pid: number }>((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) resolve(JSON.parse(text) as { port: number; pid: number });
    });
    void exited.then(async (code) => reject(new Error(`it ended with ${code} before it was ready: ${await stderr}`)));
  });
  const { port, pid } = await ready;
  expect(pid).toBe(child.pid);
  return {
    url: `http://127.0.0.1:${port}`,
    pid,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}

/** The environment without settings of whoever runs the tests. */
function environment(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DAYBOOK_') && name !== 'FORCE_COLOR');
  return { ...Object.fromEntries(inherited), PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`, ...settings };
}

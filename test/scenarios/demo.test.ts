import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { startDaybook, type Daybook } from 'daybook';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoEvents, demoOutcome } from '../support/demo-outcome.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daybook-demo-test-'));
  await mkdir(join(folder, 'files', 'below'), { recursive: true });
  await writeFile(join(folder, 'files', 'empty'), '');
  await writeFile(join(folder, 'files', 'ünïcode name'), 'abc');
  await writeFile(join(folder, 'files', 'below', 'large'), Buffer.alloc(3_000_000, 7));
});

afterAll(() => rm(folder, { recursive: true }));

interface DemoAnswer {
  readonly ok: boolean;
  readonly checks: ReadonlyArray<{ readonly name: string; readonly expected: number; readonly found: number }>;
  readonly wrong: readonly string[];
  readonly events: number;
  readonly dataDir: string;
}

describe('daybook demo', () => {
  it('fingerprints every file of a folder, and every result is right', async () => {
    const { exitCode, stdout, stderr } = await run('bin/daybook', ['demo', join(folder, 'files'), '--data-dir', join(folder, 'data'), '--json']);
    const answer = JSON.parse(stdout) as DemoAnswer;

    expect({ wrong: answer.wrong, ok: answer.ok, exitCode }).toEqual({ wrong: [], ok: true, exitCode: 0 });
    expect(Object.fromEntries(answer.checks.map(({ name, found }) => [name, found]))).toEqual(demoOutcome);
    expect(answer.events).toBe(demoEvents);
    expect(stderr).toContain('58/58 tasks');
  });

  it('leaves a history that a server goes on with', async () => {
    const { exitCode, stdout } = await run('bin/daybook', ['log', 'export', '--data-dir', join(folder, 'data')]);
    expect(exitCode).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(demoEvents);
  });

  it.each([
    [['demo', '/no/such/folder'], 'cannot be read as a folder'],
    [['demo', '--data-dir', '.'], 'is not empty'],
    [['demo', '--chaos'], 'not built yet'],
  ])('ends with 2 on %j', async (args, sentence) => {
    const { exitCode, stderr } = await run('bin/daybook', args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(sentence);
  });
});

describe('the examples', () => {
  let daybook: Daybook;

  beforeAll(async () => {
    const { default: tasks } = await import('../../examples/tasks.ts');
    daybook = await startDaybook({ tasks, dataDir: join(folder, 'examples'), port: 0, logLevel: 'error' });
  });

  afterAll(() => daybook.stop());

  it('file.checksum gives SHA-256 and size, and does not retry a file that is not there', async () => {
    const { fileChecksum } = await import('../../examples/file-checksum.ts');
    const right = await daybook.submit(fileChecksum, { path: join(folder, 'files', 'ünïcode name') });
    const missing = await daybook.submit(fileChecksum, { path: join(folder, 'missing') });
    const aFolder = await daybook.submit(fileChecksum, { path: folder });

    expect(await daybook.wait(right.id)).toMatchObject({
      state: 'completed',
      result: { sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', bytes: 3 },
    });
    expect(await daybook.wait(missing.id)).toMatchObject({ state: 'failed', attempt: 1, error: { name: 'PermanentFailure', code: 'ENOENT' } });
    expect(await daybook.wait(aFolder.id)).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'EISDIR' } });
  });

  it('demo.flaky succeeds in its third attempt, demo.hopeless fails in its third', async () => {
    const { flaky, hopeless } = await import('../../examples/flaky.ts');
    const [one, other] = await Promise.all([daybook.submit(flaky, { name: 'a' }), daybook.submit(hopeless, { name: 'b' })]);
    expect(await daybook.wait(one.id)).toMatchObject({ state: 'completed', attempt: 3, result: { attempts: 3 } });
    expect(await daybook.wait(other.id)).toMatchObject({ state: 'failed', attempt: 3, error: { message: 'b will never work' } });
  });

  it('webhook.deliver takes effect once per key, also when the receiver is busy or its answer is lost', async () => {
    const { webhookDeliver } = await import('../../examples/webhook-deliver.ts');
    const { startWebhookReceiver } = await import('../../examples/webhook-receiver.ts');
    const receiver = await startWebhookReceiver();
    try {
      const submitted = await Promise.all(
        ['', '?first=busy', '?first=answer-lost'].map((query) =>
          daybook.submit(webhookDeliver, { url: `${receiver.url}${query}`, event: 'order.shipped', body: { order: 7 } }),
        ),
      );
      const ended = await Promise.all(submitted.map(({ id }) => daybook.wait(id)));
      expect(ended.map(({ state, attempt }) => [state, attempt])).toEqual([['completed', 1], ['completed', 2], ['completed', 2]]);
      expect([...receiver.deliveries.values()].map(({ effects }) => effects)).toEqual([1, 1, 1]);
      expect([...receiver.deliveries.values()].map(({ calls }) => calls).sort()).toEqual([1, 2, 2]);
    } finally {
      await receiver.close();
    }
  });

  it('webhook.deliver does not retry what the receiver refuses', async () => {
    const { webhookDeliver } = await import('../../examples/webhook-deliver.ts');
    const refusing = await listen((_request, response) => response.writeHead(410).end());
    try {
      const { id } = await daybook.submit(webhookDeliver, { url: refusing.url, event: 'x', body: {} });
      expect(await daybook.wait(id)).toMatchObject({ state: 'failed', attempt: 1, error: { name: 'PermanentFailure', code: 'http-410' } });
    } finally {
      refusing.close();
    }
  });

  it('embedded.ts, which the README shows, runs as it stands and leaves nothing that keeps its process alive', async () => {
    const startedMs = performance.now();
    const { exitCode, stdout, stderr } = await run(process.execPath, [join(root, 'examples/embedded.ts')], await emptyFolder());
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stdout).toMatch(/^accepted: record 0 of the log\ncompleted: Hello, Ada!\n$/);
    // A timer left behind by the drain would hold the process for its 15 s.
    expect(performance.now() - startedMs).toBeLessThan(12_000);
  });

  it('imports nothing but daybook, zod, Node and its neighbours', async () => {
    const names = ['embedded', 'file-checksum', 'flaky', 'tasks', 'webhook-deliver', 'webhook-receiver'];
    for (const name of names) {
      const source = await readFile(join(root, 'examples', `${name}.ts`), 'utf8');
      const imported = [...source.matchAll(/from '([^']+)'/g)].map(([, from]) => from);
      expect(imported.filter((from) => !/^(daybook|zod|node:.*|\.\/.*)$/.test(from ?? ''))).toEqual([]);
    }
  });
});

async function run(command: string, args: readonly string[], cwd = root) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DAYBOOK_') && name !== 'FORCE_COLOR');
  const env = { ...Object.fromEntries(inherited), PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}` };
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, exitCode] = await Promise.all([
    readText(child.stdout),
    readText(child.stderr),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  return { exitCode, stdout, stderr };
}

async function emptyFolder(): Promise<string> {
  return mkdtemp(join(folder, 'empty-'));
}

async function listen(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

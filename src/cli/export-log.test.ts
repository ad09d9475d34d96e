import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EmbeddedEventAppender } from '../adapters/embedded/embedded-event-appender.ts';
import { openEmbeddedStore, type EmbeddedStore } from '../adapters/embedded/embedded-store.ts';
import { SystemClock } from '../adapters/system/system-clock.ts';
import { runCommandLine } from './command-line.ts';

let folder: string;
let store: EmbeddedStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daybook-export-'));
  store = openEmbeddedStore({ folder, clock: new SystemClock() });
  const appender = new EmbeddedEventAppender(store);
  for (const text of ['one', 'two', 'three']) {
    await appender.append({ key: `task-${text}`, headers: [['ce_type', 'Test']], value: Buffer.from(text) });
  }
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

it('exports what is in the log while its writer has the folder', async () => {
  const { exitCode, lines } = await exportLog();
  expect(exitCode).toBe(0);
  expect(lines.map(({ offset, value }) => [offset, Buffer.from(value, 'base64').toString()])).toEqual([[0, 'one'], [1, 'two'], [2, 'three']]);
  expect(lines[0]).toEqual({
    topic: 'task-lifecycle',
    partition: 0,
    offset: 0,
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    key: Buffer.from('task-one').toString('base64'),
    headers: { ce_type: 'Test' },
    value: Buffer.from('one').toString('base64'),
  });
});

it('begins at an offset, stops at a limit, and knows no other partition', async () => {
  expect((await exportLog('--offset', '1', '--limit', '1')).lines.map(({ offset }) => offset)).toEqual([1]);
  expect((await exportLog('--offset', '9')).lines).toEqual([]);
  expect((await exportLog('--partition', '1')).lines).toEqual([]);
});

it('ends with 1 where there is no log, and makes none', async () => {
  const { exitCode, lines } = await exportLog('--data-dir', join(folder, 'nothing'));
  expect({ exitCode, lines }).toEqual({ exitCode: 1, lines: [] });
});

async function exportLog(...args: string[]) {
  const stdout = new PassThrough();
  const printed = readText(stdout);
  const surroundings = { environment: { DAYBOOK_DATA_DIR: folder }, stdin: new PassThrough(), stdout, stderr: new PassThrough() };
  const exitCode = await runCommandLine(['log', 'export', ...args], surroundings);
  stdout.end();
  const lines = (await printed).split('\n').filter(Boolean);
  return { exitCode, lines: lines.map((line) => JSON.parse(line) as { offset: number; value: string }) };
}

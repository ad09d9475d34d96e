import { PassThrough } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import type { ProjectionItem } from '../client/answers.ts';
import type { Client } from '../client/create-client.ts';
import { rebuildProjection } from './projection-commands.ts';
import { Terminal } from './terminal.ts';

const live: ProjectionItem = { name: 'tasks', state: 'live', positions: { '0': 12 }, lag: 0, digest: 'd1', lastRebuild: null };

const asOf = { positions: { '0': 12 }, time: '2026-01-01T00:00:00.000Z', lagMs: 0 };

it.each([
  ['equal', 0, { equal: true, error: null }, 'equal to what was served'],
  ['different', 1, { equal: false, error: null }, 'NOT equal to what was served'],
  ['broken off', 1, { equal: null, error: 'the log ended early' }, 'not rebuilt: the log ended early'],
  ['the first', 0, { equal: null, error: null }, 'nothing to compare with'],
] as const)('waits for its own operation, and ends with what came of it: %s', async (_name, exitCode, outcome, sentence) => {
  const report = { finishedAt: '2026-01-01T00:00:00.000Z', ...outcome };
  // The rebuild that another operator asked for ends first.
  const answers: ProjectionItem[] = [live, { ...live, lastRebuild: { ...report, equal: true, error: null, operation: 'other' } }, { ...live, lastRebuild: { ...report, operation: 'op1' } }];
  const client: Pick<Client, 'projections' | 'rebuild'> = {
    projections: () => Promise.resolve({ items: [answers.length > 1 ? (answers.shift() ?? live) : (answers[0] ?? live)], next: null, asOf }),
    rebuild: () => Promise.resolve({ operation: 'op1' }),
  };
  const stdout = new PassThrough();
  const terminal = new Terminal({ environment: {}, stdin: new PassThrough(), stdout, stderr: new PassThrough() }, { json: false, color: false });

  expect(await rebuildProjection(terminal, client as Client, undefined, { wait: true, timeoutMs: 5_000 })).toBe(exitCode);
  stdout.end();
  expect(await readText(stdout)).toContain(sentence);
});

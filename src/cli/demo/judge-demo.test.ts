import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskView } from '../../client/answers.ts';
import { collectFiles, hasChanged, type DemoFile } from './collect-files.ts';
import { planDemo, webhookCount } from './demo-plan.ts';
import { independentChecksums } from './independent-checksums.ts';
import { isWrong, judgeDemo, type DemoEvidence } from './judge-demo.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daybook-judge-'));
  await mkdir(join(folder, 'b'));
  await mkdir(join(folder, 'data'));
  await writeFile(join(folder, 'a.txt'), 'abc');
  await writeFile(join(folder, 'b', 'odd\nname \\ here'), '');
  await writeFile(join(folder, 'data', 'log.db'), 'not for the demo');
  await symlink(folder, join(folder, 'b', 'loop'));
});

afterAll(() => rm(folder, { recursive: true }));

describe('collecting files', () => {
  it('takes every regular file, follows no link, and leaves the data folder out', async () => {
    const { files, bytes, capped } = await collectFiles(folder, join(folder, 'data'));
    expect(files.map(({ path }) => path)).toEqual([join(folder, 'a.txt'), join(folder, 'b', 'odd\nname \\ here')]);
    expect({ bytes, capped }).toEqual({ bytes: 3, capped: false });
  });

  it('notices a file that changed after it was collected', async () => {
    const { files } = await collectFiles(folder, join(folder, 'data'));
    const [file] = files;
    if (file === undefined) throw new Error('no file');
    expect(await hasChanged(file)).toBe(false);
    await utimes(file.path, 1, 1);
    expect(await hasChanged(file)).toBe(true);
  });
});

it('computes checksums with odd file names, and knows nothing of a file that is missing', async () => {
  const odd = join(folder, 'b', 'odd\nname \\ here');
  const { sums } = await independentChecksums([join(folder, 'a.txt'), odd, join(folder, 'missing')]);
  expect(Object.fromEntries(sums)).toEqual({
    [join(folder, 'a.txt')]: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    [odd]: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  });
});

describe('the verdict', () => {
  it('is right when everything is as designed', () => {
    const verdict = judgeDemo(rightEvidence());
    expect(verdict.wrong).toEqual([]);
    expect(verdict.checks.filter(isWrong)).toEqual([]);
    expect(verdict.latencyMs).toEqual({ p50: 10, p99: 10 });
  });

  it.each<[string, (evidence: Mutable) => void, RegExp]>([
    ['a checksum differs', (evidence) => change(evidence, 'file.checksum', { result: { sha256: 'ff', bytes: 3 } }), /says ff/],
    ['a size differs', (evidence) => change(evidence, 'file.checksum', { result: { sha256: 'aa', bytes: 4 } }), /says 4/],
    ['a task that must fail completed', (evidence) => change(evidence, 'demo.hopeless', { state: 'completed' }), /expected failed, is completed/],
    ['a task needed another number of attempts', (evidence) => change(evidence, 'demo.flaky', { attempt: 4 }), /expected 3 attempts, had 4/],
    ['a task did not end', (evidence) => { evidence.played[0] = { ...first(evidence.played), view: null, trouble: 'still running' }; }, /still running/],
    ['a webhook took effect twice', (evidence) => { evidence.deliveries.set('k1', { calls: 2, effects: 2 }); }, /2 effects in 2 calls/],
    ['a webhook never arrived', (evidence) => { evidence.deliveries.delete('k1'); }, /webhook effects: expected 40, found 39/],
    ['a receipt names a record that is not in the log', (evidence) => { evidence.digests.delete('0/0'); }, /receipts right/],
    ['the diary misses a task', (evidence) => { evidence.listed -= 1; }, /listed by the diary/],
  ])('is wrong when %s', (_what, spoil, sentence) => {
    const evidence = rightEvidence();
    spoil(evidence);
    expect(judgeDemo(evidence).wrong.join('\n')).toMatch(sentence);
  });

  it('does not judge a file that changed while the demo ran, and says so', () => {
    const evidence = rightEvidence();
    change(evidence, 'file.checksum', { result: { sha256: 'ff', bytes: 9 } });
    const verdict = judgeDemo({ ...evidence, changedFiles: new Set(['/a']) });
    expect(verdict.wrong).toEqual([]);
    expect(verdict.checks.find(({ name }) => name === 'checksums right')).toMatchObject({ expected: 0, note: expect.stringContaining('1 changed meanwhile') as string });
  });
});

interface Mutable extends DemoEvidence {
  readonly played: Array<DemoEvidence['played'][number]>;
  readonly deliveries: Map<string, { calls: number; effects: number }>;
  readonly digests: Map<string, string>;
  listed: number;
}

function rightEvidence(): Mutable {
  const file: DemoFile = { path: '/a', bytes: 3, modifiedMs: 1 };
  const digests = new Map<string, string>();
  const played = planDemo([file], 'http://127.0.0.1:1/').map((plan, offset) => {
    digests.set(`0/${offset}`, `sha-${offset}`);
    const receipt = { eventId: '', topic: '', partition: 0, offset, sha256: `sha-${offset}`, acceptedAt: '' };
    const view: TaskView = {
      id: `t${offset}`, type: plan.type, typeVersion: 1, state: plan.state, attempt: plan.attempts, maxAttempts: 6,
      queue: 'default', priority: 0, tags: {}, anomalies: [], links: {}, acceptedAt: '2026-01-01T00:00:00.000Z', finishedAt: '2026-01-01T00:00:00.010Z',
      ...(plan.file === undefined ? {} : { result: { sha256: 'aa', bytes: 3 } }),
    };
    return { plan, submitted: { id: view.id, type: plan.type, receipt, idempotencyKey: '', replayed: false }, view, trouble: null };
  });
  return {
    played,
    checksums: { by: 'sha256sum', sums: new Map([['/a', 'aa']]) },
    changedFiles: new Set(),
    deliveries: new Map(Array.from({ length: webhookCount }, (_, index) => [`k${index}`, { calls: 1, effects: 1 }])),
    log: { records: digests.size, digests },
    digests,
    listed: played.length,
  };
}

function change(evidence: Mutable, type: string, members: Partial<TaskView>): void {
  const index = evidence.played.findIndex(({ plan }) => plan.type === type);
  const task = evidence.played[index];
  if (task?.view == null) throw new Error(`no task of type ${type}`);
  evidence.played[index] = { ...task, view: { ...task.view, ...members } };
}

function first<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined) throw new Error('empty');
  return item;
}

import { expect, it } from 'vitest';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { finished, submit } from '../support/daybook-http.ts';
import { readEffects, startDaybookProcess } from '../support/daybook-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

it.each([
  ['a promise that a handler left rejected', 'rejection', 'nobody waits for this', /^a promise was rejected and nothing awaited it/],
  ['an error that a handler threw where nothing catches it', 'exception', 'nobody catches this', /^an error was thrown where nothing catches it/],
] as const)('ends the process of %s with one fatal line, and the task runs again', async (_name, as, message, meaning) => {
  const parent = temporaryFolder();
  const folder = `${parent}/data`;
  const settings = { DAYBOOK_LEASE_MS: '300' };
  const server = await startDaybookProcess({ folder, settings });
  const task = await submit(server.url, { type: 'scenario.effect', payload: { name: 'careless', uncaught: { as, onceFile: `${parent}/once` } } });

  expect(await server.exited).toEqual({ code: 1, signal: null });
  const lines = (await server.said).trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.filter(({ level }) => level === 'fatal')).toEqual([
    {
      level: 'fatal',
      time: expect.any(String) as string,
      role: 'all',
      error: expect.objectContaining({ type: 'RangeError', message, stack: expect.stringContaining('scenario-tasks') as string }) as object,
      msg: expect.stringMatching(meaning) as string,
    },
  ]);
  expect(lines.at(-1)?.['level']).toBe('fatal');

  const second = await startDaybookProcess({ folder, settings });
  expect(await finished(second.url, task.id)).toMatchObject({ state: 'completed', attempt: 1 });
  await second.end('SIGTERM');
  expectGuarantees(await readEvidence(folder, { receipts: [task], effects: readEffects(folder) }));
});

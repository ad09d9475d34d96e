import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { readEvidence, type HeldReceipt } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { rebuiltViewEqualsLive, viewSaysHowTasksEnded } from '../guarantees/rebuilt-view-equals-live.ts';
import { replayIsSilent } from '../guarantees/replay-is-silent.ts';
import { finished, get, post, projection, submit, viewOf, type ProblemBody } from '../support/daybook-http.ts';
import { readEffects, runDaybook, startDaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A process with a finished history of every kind of end, and a view that stands at its end. */
async function quietSystem() {
  const folder = `${temporaryFolder()}/data`;
  const server = await startDaybookProcess({ folder });
  const { url } = server;
  const effect = (name: string, failures = 0, options = {}) => submit(url, { type: 'scenario.effect', payload: { name, failures }, options });
  const receipts = await Promise.all(Array.from({ length: 60 }, (_, number) => effect(`task ${number}`, number % 4, { tags: { number: String(number) }, batch: 'b' })));
  const unwanted = await effect('unwanted', 0, { notBefore: '1h' });
  await post(`${url}/v1/tasks/${unwanted.id}/cancel`, { reason: 'not needed' });
  const rejected = await post<ProblemBody>(`${url}/v1/tasks`, { type: 'scenario.effect', payload: {} });
  const ids = [...receipts.map(({ id }) => id), unwanted.id, rejected.body.id ?? ''];
  for (const id of ids) await finished(url, id);
  await eventually(async () => (await projection(url)).lag === 0);
  return { folder, server, url, ids, receipts: [...receipts, unwanted] };
}

async function look(folder: string, url: string, receipts: readonly HeldReceipt[]) {
  return { view: await viewOf(url), evidence: await readEvidence(folder, { receipts, effects: readEffects(folder) }) };
}

/** As a person would with the sqlite3 shell. */
function dropEveryTable(folder: string): number {
  const database = new DatabaseSync(join(folder, 'views.db'), { timeout: 5_000 });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all().map(({ name }) => String(name));
    for (const table of tables) database.exec(`DROP TABLE ${table}`);
    return tables.length;
  } finally {
    database.close();
  }
}

it('derives its view again when every table is dropped under it, and nothing else happens', async () => {
  const { folder, server, url, ids, receipts } = await quietSystem();
  const before = await look(folder, url, receipts);
  expect(before.view.tasks.size).toBe(ids.length);

  expect(dropEveryTable(folder)).toBeGreaterThan(0);
  const droppedMs = performance.now();
  const answers = new Set<string>();
  let asked = 0;
  await eventually(async () => {
    const id = ids[asked++ % ids.length];
    const answered = await Promise.all([get<ProblemBody>(`${url}/v1/tasks/${id}`), get<ProblemBody>(`${url}/v1/tasks`), get<ProblemBody>(`${url}/v1/tasks/${id}/events`)]);
    for (const { status, body } of answered) answers.add(status === 200 ? '200' : `${status} ${body.code}`);
    return answered.every(({ status }) => status === 200) && (await projection(url)).lastRebuild;
  }, { timeoutMs: 20_000 });
  expect(performance.now() - droppedMs).toBeLessThan(10_000);
  expect(answers).toEqual(new Set(['503 rebuilding', '200']));

  const after = await look(folder, url, receipts);
  expect(rebuiltViewEqualsLive(before.view, after.view)).toEqual([]);
  expect(replayIsSilent(before.evidence, after.evidence)).toEqual([]);
  expect(viewSaysHowTasksEnded(after.evidence.records, after.view)).toEqual([]);

  await server.end('SIGTERM');
  expectGuarantees((await readEvidence(folder, { receipts, effects: readEffects(folder) })));
});

it('rebuilds on request beside the live view, and finds it equal', async () => {
  const { folder, url, receipts } = await quietSystem();
  const before = await look(folder, url, receipts);

  const { exitCode, stdout } = await runDaybook(['projection', 'rebuild', 'tasks', '--json'], { DAYBOOK_URL: url });
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ name: 'tasks', lastRebuild: { equal: true, error: null } });

  const after = await look(folder, url, receipts);
  expect(rebuiltViewEqualsLive(before.view, after.view)).toEqual([]);
  expect(replayIsSilent(before.evidence, after.evidence)).toEqual([]);
});

it('derives its view from the beginning when the file is gone after a restart', async () => {
  const { folder, server, url, receipts } = await quietSystem();
  const before = await look(folder, url, receipts);
  await server.end('SIGTERM');
  dropEveryTable(folder);

  const second = await startDaybookProcess({ folder });
  await eventually(async () => (await projection(second.url)).lag === 0, { timeoutMs: 10_000 });
  const after = await look(folder, second.url, receipts);
  expect(rebuiltViewEqualsLive(before.view, after.view)).toEqual([]);
  expect(replayIsSilent(before.evidence, after.evidence)).toEqual([]);
});

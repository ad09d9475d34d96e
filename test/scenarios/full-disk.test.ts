import { mkdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readEvidence, type HeldReceipt } from '../guarantees/evidence.ts';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { viewSaysHowTasksEnded } from '../guarantees/rebuilt-view-equals-live.ts';
import { finished, get, post, projection, viewOf, untilReady } from '../support/daybook-http.ts';
import { readEffects, startDaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { commandOnSmallDisk, fillDisk, folderOf, freeBytes, holdDisk } from '../support/small-disk.ts';
import { Submitters } from '../support/submitters.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const diskBytes = 48 * 1024 * 1024;
// Large enough that a full disk is met soon: the log's file is written over again as long as it has room in itself.
const submission = (number: number) => ({ type: 'scenario.effect', payload: { name: `${number} ${'x'.repeat(4_000)}` } });

it('answers 503 when the disk is full, goes on when there is room, and loses nothing', async () => {
  const folder = `${temporaryFolder()}/data`;
  mkdirSync(folder);
  const server = await startDaybookProcess({ folder, command: commandOnSmallDisk(folder, diskBytes) });
  const { url, pid } = server;
  const disk = folderOf(pid, folder);
  const load = new Submitters({ url: () => url, submission, clients: 8, pauseMs: 2 });
  await eventually(() => load.receipts.length > 100, { timeoutMs: 20_000 });

  for (let round = 1; round <= 2; round += 1) {
    const makeRoom = fillDisk(disk);
    const unavailableBefore = load.unavailable;
    await eventually(() => load.unavailable > unavailableBefore + 50, { timeoutMs: 30_000 });
    expect(freeBytes(disk)).toBeLessThan(64 * 1024);

    const sentMs = performance.now();
    const { status, headers, body } = await post<{ code: string }>(`${url}/v1/tasks`, submission(-round), { 'idempotency-key': `asked-while-full-${round}` });
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'diary-unavailable' });
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(performance.now() - sentMs).toBeLessThan(5_000);
    // Reading goes on, and the view, on the same disk, stays what it was: a rebuild succeeds or changes nothing.
    expect((await get(`${url}/livez`)).status).toBe(200);
    expect((await get(`${url}/v1/tasks`)).status).toBe(200);
    expect(await rebuilt(url)).not.toMatchObject({ equal: false });
    expect((await get(`${url}/v1/tasks`)).status).toBe(200);

    makeRoom();
    const receiptsBefore = load.receipts.length;
    await eventually(() => load.receipts.length > receiptsBefore + 50, { timeoutMs: 20_000 });
    const again = await post<HeldReceipt>(`${url}/v1/tasks`, submission(-round), { 'idempotency-key': `asked-while-full-${round}` });
    expect(again.status).toBe(202);
    load.receipts.push(again.body);
  }

  await load.stop();
  expect(await rebuilt(url)).toMatchObject({ equal: true, error: null });
  expect(load.surprises).toEqual([]);
  for (const { id } of load.receipts) expect(await finished(url, id)).toMatchObject({ state: 'completed', attempt: 1 });
  await eventually(async () => (await projection(url)).lag === 0, { timeoutMs: 20_000 });
  await untilReady(url, 20_000);
  const view = await viewOf(url);

  const copyTo = holdDisk(disk);
  expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  const copy = temporaryFolder();
  copyTo(copy);
  const evidence = await readEvidence(copy, { receipts: load.receipts, effects: readEffects(folder) });
  expectGuarantees(evidence);
  expect(viewSaysHowTasksEnded(evidence.records, view)).toEqual([]);
});

/** Asks for a rebuild and waits for what became of it. */
async function rebuilt(url: string) {
  const { body } = await post<{ operation: string }>(`${url}/v1/projections/tasks/rebuild`, {});
  return eventually(async () => {
    const { lastRebuild } = await projection(url);
    return lastRebuild?.operation === body.operation && lastRebuild;
  }, { timeoutMs: 20_000 });
}

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readEvidence } from '../guarantees/evidence.ts';
import { expectGuarantees, expectGuaranteesAtAnyMoment } from '../guarantees/guarantees.ts';
import { shutdownLosesNothing } from '../guarantees/shutdown-loses-nothing.ts';
import { eventsOf, finished, get, submit, type TaskBody } from '../support/daybook-http.ts';
import { groupLives, readEffects, runDaybook, startDaybookProcess, type DaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A process in the middle of a handler that ends when the gate is opened; a second task waits for its slot. */
async function inTheMiddle(settings: Readonly<Record<string, string>> = {}) {
  const parent = temporaryFolder();
  const folder = `${parent}/data`;
  const gate = `${parent}/gate`;
  const server = await startDaybookProcess({ folder, settings: { DAYBOOK_WORKER_CONCURRENCY: '1', ...settings } });
  const running = await submit(server.url, { type: 'scenario.effect', payload: { name: 'running', untilFile: gate } });
  await eventually(async () => (await get<TaskBody>(`${server.url}/v1/tasks/${running.id}`)).body.state === 'running');
  const waiting = await submit(server.url, { type: 'scenario.effect', payload: { name: 'waiting' } });
  return { folder, server, running, waiting, receipts: [running, waiting], openGate: () => writeFileSync(gate, '') };
}

/** Until the first signal has been taken: from then on the process is not ready. */
function draining({ url }: DaybookProcess): Promise<boolean> {
  return eventually(async () => (await get(`${url}/readyz`)).status === 503, { timeoutMs: 10_000 });
}

const types = async (url: string, id: string) => (await eventsOf(url, id)).map(({ type }) => type);
const seen = (folder: string, receipts: Parameters<typeof readEvidence>[1] & object) => readEvidence(folder, { ...receipts, effects: readEffects(folder) });

describe('SIGTERM', () => {
  it('lets a running handler finish, records its outcome, starts nothing more, and ends with 0', async () => {
    const { folder, server, running, waiting, receipts, openGate } = await inTheMiddle();
    server.signal('SIGTERM');
    await draining(server);
    openGate();
    expect(await server.exited).toEqual({ code: 0, signal: null });

    const { records, jobs, ...rest } = await seen(folder, { receipts });
    expectGuaranteesAtAnyMoment({ records, jobs, ...rest });
    expect(shutdownLosesNothing({ records, jobs, ...rest })).toEqual([]);
    expect(records.filter(({ type }) => type === 'TaskExecutionStarted').map(({ key }) => key)).toEqual([running.id]);
    expect(records.filter(({ type }) => type === 'TaskExecutionCompleted').map(({ key }) => key)).toEqual([running.id]);
    expect(jobs.map(({ taskId }) => taskId)).toEqual([waiting.id]);

    const second = await startDaybookProcess({ folder });
    expect(await finished(second.url, waiting.id)).toMatchObject({ state: 'completed', attempt: 1 });
    await second.end('SIGTERM');
    expectGuarantees(await seen(folder, { receipts }));
  });

  it('breaks off what does not finish in time, in good order: the same attempt runs again', async () => {
    const { folder, server, running, receipts, openGate } = await inTheMiddle({ DAYBOOK_DRAIN_SECONDS: '1' });
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
    const left = await seen(folder, { receipts });
    expect(shutdownLosesNothing(left)).toEqual([]);
    expect(left.jobs.map(({ taskId }) => taskId)).toContain(running.id);

    openGate();
    const second = await startDaybookProcess({ folder });
    expect(await finished(second.url, running.id)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await types(second.url, running.id)).toEqual(['TaskAccepted', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionStarted', 'TaskExecutionCompleted']);
    for (const { id } of receipts) await finished(second.url, id);
    await second.end('SIGTERM');
    expectGuarantees(await seen(folder, { receipts }));
  });

  it('ends at once when it comes a second time, and nothing is lost by it', async () => {
    const { folder, server, receipts, openGate } = await inTheMiddle({ DAYBOOK_DRAIN_SECONDS: '600' });
    server.signal('SIGTERM');
    await draining(server);
    const askedMs = performance.now();
    expect(await server.end('SIGTERM')).toEqual({ code: 143, signal: null });
    expect(performance.now() - askedMs).toBeLessThan(5_000);

    openGate();
    const second = await startDaybookProcess({ folder });
    for (const { id } of receipts) expect(await finished(second.url, id)).toMatchObject({ state: 'completed', attempt: 1 });
    await second.end('SIGTERM');
    expectGuarantees(await seen(folder, { receipts }));
  });
});

it('leaves no process behind when it is killed in the middle of its work', async () => {
  const { server } = await inTheMiddle();
  expect(groupLives(server.pid)).toBe(true);
  expect(await server.end('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
  expect(groupLives(server.pid)).toBe(false);
});

describe('a process that cannot start', () => {
  it('ends with 1 when its port is taken, and names it', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const port = String((holder.address() as AddressInfo).port);
    const { exitCode, stdout, stderr } = await runDaybook(['start', '--port', port, '--data-dir', `${temporaryFolder()}/data`]);
    holder.close();
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain(port);
  });

  it('ends with 78 on a wrong configuration, with every error at once', async () => {
    const { exitCode, stdout, stderr } = await runDaybook(['start'], { DAYBOOK_PORT: 'high', DAYBOOK_LEASE_MS: '-1', DAYBOOK_LEESE_MS: '1' });
    expect({ exitCode, stdout }).toEqual({ exitCode: 78, stdout: '' });
    expect(stderr).toMatch(/DAYBOOK_LEESE_MS[\s\S]*DAYBOOK_PORT[\s\S]*DAYBOOK_LEASE_MS/);
  });

  it('ends with 1 when another process has its folder, names both, and does no harm', async () => {
    const folder = `${temporaryFolder()}/data`;
    const owner = await startDaybookProcess({ folder });
    const { exitCode, stderr } = await runDaybook(['start', '--port', '0', '--data-dir', folder]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(folder);
    expect(stderr).toContain(String(owner.pid));
    const held = await submit(owner.url, { type: 'scenario.effect', payload: { name: 'unharmed' } });
    expect(await finished(owner.url, held.id)).toMatchObject({ state: 'completed' });
    await owner.end('SIGTERM');
    expectGuarantees(await seen(folder, { receipts: [held] }));
  });
});

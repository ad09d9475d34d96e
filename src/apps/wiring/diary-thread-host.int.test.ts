import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../../test/support/diary-rig.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { taskId } from '../../../test/support/stored-records.ts';
import { history } from '../../../test/support/task-history.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { EmbeddedEventAppender } from '../../adapters/embedded/embedded-event-appender.ts';
import { openEmbeddedStore } from '../../adapters/embedded/embedded-store.ts';
import { SqliteProjectionReader } from '../../adapters/embedded/sqlite-projection-reader.ts';
import { projectionFile } from '../../adapters/embedded/sqlite-projection-schema.ts';
import { SystemClock } from '../../adapters/system/system-clock.ts';
import type { LogRecord } from '../../domain/log-record.ts';
import { loadConfig } from '../config.ts';
import { DiaryThreadHost } from './diary-thread-host.ts';

const finished = (number: number) =>
  history(taskId(number)).accepted().dispatched(1).started(1, `e-${number}`).completed(1, `e-${number}`).records;

/** A log in this thread, and a host whose thread reads it. */
function threadRig(pollMs?: number) {
  const folder = temporaryFolder();
  const clock = new SystemClock();
  const log = openEmbeddedStore({ folder, clock });
  const appender = new EmbeddedEventAppender(log);
  const host = new DiaryThreadHost({ config: loadConfig({}, { overrides: { dataDir: folder, topic: log.topic } }), ...(pollMs === undefined ? {} : { pollMs }) }, clock, silentLogger);
  const reader = new SqliteProjectionReader(folder);
  onTestFinished(async () => {
    await host.stop(5_000);
    await reader.close();
    await log.close();
  });
  const append = async (records: readonly LogRecord[]) => {
    await Promise.all(records.map((record) => appender.append(record)));
    host.logAdvanced();
  };
  const phase = async (number: number) => (await reader.task(taskId(number))).row?.state.end?.kind;
  return { folder, host, append, phase };
}

const isReady = (host: DiaryThreadHost) => host.health().every(({ ok }) => ok);

it('projects in a thread of its own, and answers across it', async () => {
  const { host, append, phase } = threadRig();
  await append(finished(1));
  await host.start();
  await eventually(() => isReady(host));
  expect(await phase(1)).toBe('completed');
  await append(finished(2));
  await eventually(async () => (await phase(2)) === 'completed');
  expect((await host.metrics()).events).toMatchObject({ TaskAccepted: 1 });
  expect(await host.projections()).toMatchObject([{ name: 'tasks', lag: 0, tasks: 2, positions: { 0: 8 } }]);
});

it('is woken when the log has grown, and does not have to look by itself', async () => {
  const { host, append, phase } = threadRig(60_000);
  await append(finished(0));
  await host.start();
  await eventually(() => isReady(host));
  const startedMs = performance.now();
  for (let number = 1; number <= 5; number++) {
    await append(finished(number));
    await eventually(async () => (await phase(number)) === 'completed');
  }
  // Without the wake each of them would be seen when the thread looks after its tables, every 2 seconds.
  expect(performance.now() - startedMs).toBeLessThan(6_000);
});

it('rebuilds across the thread', async () => {
  const { host, append } = threadRig();
  await append(finished(1));
  await host.start();
  const { operation } = await host.rebuild('tasks');
  const report = await eventually(async () => {
    const [status] = await host.projections();
    return status?.lastRebuild?.operation === operation && status.lastRebuild;
  });
  expect(report).toMatchObject({ equal: true, events: 4 });
  await expect(host.rebuild('orders')).rejects.toMatchObject({ status: 404, code: 'projection-not-found' });
});

it('is not ready while the thread cannot live, starts it again, and recovers by itself', async () => {
  const { folder, host, append, phase } = threadRig();
  mkdirSync(join(folder, projectionFile));
  await append(finished(1));
  const starting = host.start();
  await eventually(() => host.health().some(({ ok, detail }) => !ok && detail.includes('is started again')));
  await expect(eventually(() => host.projections(), { timeoutMs: 10 })).rejects.toThrow();
  rmdirSync(join(folder, projectionFile));
  await starting;
  await eventually(() => isReady(host), { timeoutMs: 10_000 });
  expect(await phase(1)).toBe('completed');
});

it('stops within its deadline, is not ready then, and refuses calls', async () => {
  const { host, append } = threadRig();
  await append(finished(1));
  await host.start();
  await host.stop(5_000);
  expect(isReady(host)).toBe(false);
  await expect(host.projections()).rejects.toMatchObject({ code: 'projection-unavailable' });
  await host.stop(5_000);
});

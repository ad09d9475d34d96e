import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { KafkaPresenceReader } from '../../src/adapters/kafka/kafka-presence-reader.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import type { Heartbeat } from '../../src/domain/heartbeat.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, submit } from '../support/daybook-http.ts';
import { readEffects } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { silent } from '../support/silent-logger.ts';

// What the heartbeats of real worker processes say.

const patience = { timeoutMs: 60_000 };
const presenceMs = 3_000;
const settings = { DAYBOOK_PRESENCE_MS: String(presenceMs) };

/** Listens beside the system, as its dispatcher does. */
function listenTo(system: BrokersSystem): { readonly heard: readonly Heartbeat[]; readonly reader: KafkaPresenceReader } {
  const reader = new KafkaPresenceReader({ connection: system.kafka.connection, topic: system.topic, presenceMs, clock: new SystemClock(), logger: silent });
  onTestFinished(() => reader.stop());
  const heard: Heartbeat[] = [];
  reader.start((heartbeat) => void heard.push(heartbeat));
  return { heard, reader };
}

const of = (heard: readonly Heartbeat[], pid: number) => heard.filter(({ workerId }) => workerId.endsWith(`-${pid}`));

it('falls silent with a killed worker, and goes on with the other', async () => {
  const system = new BrokersSystem();
  const { heard, reader } = listenTo(system);
  const [one, other] = await Promise.all([system.start('worker', settings), system.start('worker', settings)]);
  await eventually(() => reader.isCurrent() && of(heard, one.pid).length >= 2 && of(heard, other.pid).length >= 2, patience);
  await one.end('SIGKILL');
  const before = { one: of(heard, one.pid).length, other: of(heard, other.pid).length };
  // One may have been on its way.
  await eventually(() => of(heard, other.pid).length >= before.other + 4 && reader.isCurrent(), patience);
  expect(of(heard, one.pid).length).toBeLessThanOrEqual(before.one + 1);
  expect(of(heard, one.pid).every(({ stopped }) => !stopped)).toBe(true);

  await other.end('SIGTERM');
  await eventually(() => of(heard, other.pid).at(-1)?.stopped, patience);
});

it('names a job while its handler runs and not after its acknowledgement, and readiness does not depend on it', async () => {
  const system = new BrokersSystem();
  const { heard } = listenTo(system);
  const [api, dispatcher, worker, diary] = await Promise.all([
    system.start('api'), system.start('dispatcher', settings), system.start('worker', settings), system.start('diary'),
  ]);
  const gate = join(system.folder, 'gate');
  const { id } = await submit(api.url, { type: 'scenario.effect', payload: { name: 'held', untilFile: gate } });
  await eventually(() => readEffects(system.folder).length === 1, patience);
  const from = heard.length;
  await eventually(() => of(heard.slice(from), worker.pid).some(({ held }) => held.some((job) => job.taskId === id && job.attempt === 1)), patience);
  expect(existsSync(gate)).toBe(false);
  writeFileSync(gate, '');
  await finished(diary.url, id);
  await eventually(() => of(heard, worker.pid).at(-1)?.held.length === 0, patience);

  const { body } = await get<{ dependencies: Record<string, { ok: boolean; detail: string }> }>(`${worker.url}/readyz`);
  expect(body.dependencies['worker.presence']).toEqual({ ok: true, detail: 'heartbeats are taken' });
  const dispatcherHealth = await get<{ dependencies: Record<string, { ok: boolean }> }>(`${dispatcher.url}/readyz`);
  expect(dispatcherHealth.status).toBe(200);
  expect(dispatcherHealth.body.dependencies['presence.connection']).toMatchObject({ ok: true });
  expect(dispatcherHealth.body.dependencies['inspection.connection']).toMatchObject({ ok: true });
});

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import { loadConfig } from '../../src/apps/config.ts';
import { TopicGuard } from '../../src/apps/wiring/topic-guard.ts';
import { BrokersSystem, type Role } from '../support/brokers-system.ts';
import { finished, get, post, submit } from '../support/daybook-http.ts';
import { bin, exitOf, spawnDaybook, type DaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { KafkaTestTopic } from '../support/kafka-harness.ts';
import { silent } from '../support/silent-logger.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// Scenario 11: the topic is deleted and created anew, or deleted for good. Nothing may pass an empty log for history.

const patience = { timeoutMs: 30_000 };
const roles: readonly Role[] = ['api', 'dispatcher', 'worker', 'diary'];
const work = (name: string) => ({ type: 'scenario.effect', payload: { name } });

interface Readiness {
  readonly status: string;
  readonly dependencies: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>;
}

/** A system that has done a task and will have to do another one. Its snapshots and positions are kept. */
async function workedOn(): Promise<{ system: BrokersSystem; processes: Record<Role, DaybookProcess>; dueMs: number }> {
  const system = new BrokersSystem();
  const processes = await system.startAll();
  const done = await submit(processes.api.url, work('done'));
  await finished(processes.diary.url, done.id);
  const dueMs = Date.now() + 10_000;
  await submit(processes.api.url, { ...work('later'), options: { notBefore: new Date(dueMs).toISOString() } });
  return { system, processes, dueMs };
}

async function stopAll(processes: Record<Role, DaybookProcess>): Promise<void> {
  await Promise.all(Object.values(processes).map((process) => process.end('SIGTERM')));
}

/** Every role answers 503, and one of its reasons names both topics. */
async function expectAllNotReady(processes: Record<Role, DaybookProcess>, ...ids: readonly string[]): Promise<void> {
  for (const role of roles) {
    await eventually(async () => {
      const { status, body } = await get<Readiness>(`${processes[role].url}/readyz`);
      const details = Object.values(body.dependencies).filter(({ ok }) => !ok).map(({ detail }) => detail);
      if (status !== 503 || !details.some((detail) => ids.every((id) => detail.includes(id)))) throw new Error(`${role} says ${status} ${JSON.stringify(body)}`);
      return true;
    }, patience);
  }
}

it('is noticed by every running role when its topic is deleted and created anew, and nothing is appended to that', async () => {
  const { system, processes, dueMs } = await workedOn();
  const former = await system.kafka.id();
  await system.kafka.recreate(4);
  const present = await system.kafka.id();
  await expectAllNotReady(processes, former, present);
  expect((await post(`${processes.api.url}/v1/tasks`, work('refused'))).status).toBe(503);
  // The task that is due meanwhile is not dispatched either.
  await eventually(() => Date.now() > dueMs + 2_000, patience);
  expect(await system.records()).toEqual([]);
  await expectAllNotReady(processes, former, present);
  await stopAll(processes);
  expect(await system.records()).toEqual([]);
});

it('is noticed by every role at its start when that happened while they were down, until what is known of it is removed', async () => {
  const { system, processes } = await workedOn();
  const former = await system.kafka.id();
  await stopAll(processes);
  await system.kafka.recreate(4);
  const present = await system.kafka.id();
  const again = await system.startAll();
  await expectAllNotReady(again, former, present);
  expect((await post(`${again.api.url}/v1/tasks`, work('refused'))).status).toBe(503);
  expect(await system.records()).toEqual([]);
  await stopAll(again);
  expect(await system.records()).toEqual([]);

  await giveUpHistory(system);
  const anew = await system.startAll();
  const task = await submit(anew.api.url, work('anew'));
  expect(await finished(anew.diary.url, task.id)).toMatchObject({ state: 'completed' });
});

it('keeps each role that knows of a topic from creating it again: exit 78, topic-lost', async () => {
  const { system, processes } = await workedOn();
  const former = await system.kafka.id();
  await stopAll(processes);
  await system.kafka.delete();
  const attempt = async (role: Role) => {
    const child = spawnDaybook({ folder: system.folder, command: [bin, 'start', role], settings: system.settings() });
    const [said, { code }] = await Promise.all([text(child.stderr!), exitOf(child)]);
    return { code, said };
  };
  for (const role of roles) {
    const { code, said } = await attempt(role);
    expect({ role, code }).toEqual({ role, code: 78 });
    expect(said).toMatch(/topic-lost: the topic \S+ does not exist, and there was one/);
    expect(said).toContain(former);
  }
  // Without the note in the data folder, the dispatcher knows by its snapshots and the diary by its positions.
  rmSync(join(system.folder, 'topics'), { recursive: true });
  for (const [role, kept] of [['dispatcher', 'the snapshot of partition'], ['diary', 'the read model in PostgreSQL']] as const) {
    const { code, said } = await attempt(role);
    expect({ role, code }).toEqual({ role, code: 78 });
    expect(said).toContain(kept);
    expect(said).toContain(former);
  }
  await giveUpHistory(system);
  const fresh = await system.start('dispatcher');
  expect(await system.kafka.id()).not.toBe(former);
  await fresh.end('SIGTERM');
});

/** What the messages tell an operator to do. */
async function giveUpHistory(system: BrokersSystem): Promise<void> {
  rmSync(join(system.folder, 'topics'), { recursive: true, force: true });
  await system.sql(`DELETE FROM ${system.schema}.snapshots WHERE topic = '${system.topic}'`);
  await system.sql(`DROP TABLE ${['meta', 'tasks', 'attempts', 'tags', 'quarantine'].map((table) => `${system.schema}.${table}`).join(', ')}`);
}

it('is not taken for lost when another role creates it between two looks', async () => {
  const topic = new KafkaTestTopic();
  onTestFinished(() => topic.remove());
  const config = loadConfig({ DAYBOOK_KAFKA_BROKERS: topic.connection.brokers.join(','), DAYBOOK_TOPIC: topic.topic, DAYBOOK_TOPIC_PARTITIONS: '4', DAYBOOK_DATA_DIR: temporaryFolder() });
  // Asked once the cluster has said that there is no such topic: by then the other one has made it, and a snapshot.
  const knownLogs = async () => {
    await topic.create(4);
    return [{ identity: `cluster/${await topic.id()}`, keptAs: 'a snapshot', removal: 'delete it' }];
  };
  const guard = new TopicGuard(config, new SystemClock(), silent, knownLogs);
  onTestFinished(() => guard.stop());
  await guard.start();
  await eventually(() => guard.health().every(({ ok }) => ok), patience);
});

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BrokersSystem } from '../support/brokers-system.ts';
import { runDaybook } from '../support/daybook-process.ts';

interface TopicAnswer {
  readonly ok: boolean;
  readonly created?: boolean;
  readonly topicId: string | null;
  readonly partitions?: number;
  readonly settings: ReadonlyArray<{ readonly setting: string; readonly value: string; readonly required: string; readonly fix: string | null }>;
  readonly problems: ReadonlyArray<{ readonly setting: string; readonly fix: string }>;
}

/** `daybook topic` with the settings of a system, which shares its data folder. */
function commandsOf(system: BrokersSystem, changes: Readonly<Record<string, string>> = {}) {
  const settings = system.settings({ DAYBOOK_DATA_DIR: system.folder, ...changes });
  const run = (...args: readonly string[]) => runDaybook(['topic', ...args], settings);
  const ask = async (name: 'create' | 'check') => {
    const { stdout, exitCode } = await run(name, '--json');
    return { exitCode, ...(JSON.parse(stdout) as TopicAnswer) };
  };
  return { run, ask };
}

it('creates the topic as a log needs it, once, and checks it', async () => {
  const system = new BrokersSystem();
  const { run, ask } = commandsOf(system);
  expect(await ask('check')).toMatchObject({ exitCode: 78, ok: false, topicId: null, problems: [{ setting: 'topic', fix: 'daybook topic create' }] });
  expect(await ask('create')).toMatchObject({ exitCode: 0, ok: true, created: true, partitions: 4, problems: [] });
  expect(await ask('create')).toMatchObject({ exitCode: 0, ok: true, created: false, topicId: await system.kafka.id() });
  const check = await ask('check');
  expect(check).toMatchObject({ exitCode: 0, ok: true });
  expect(check.settings.length).toBeGreaterThan(5);
  expect(check.settings.find(({ setting }) => setting === 'retention.ms')).toMatchObject({ value: '-1', required: '-1', fix: null });

  await system.kafka.configure('retention.ms', '604800000');
  const { exitCode, stdout, stderr } = await run('check');
  expect(exitCode).toBe(78);
  expect(stdout).toMatch(/✗ +retention\.ms +604800000 +must be -1: Kafka deletes history/);
  expect(stdout).toMatch(/→ kafka-configs\.sh .* --add-config retention\.ms=-1/);
  expect(stdout).toMatch(/✓ +cleanup\.policy +delete/);
  expect(stderr).toMatch(/next: kafka-configs\.sh/);
  expect(await ask('create')).toMatchObject({ exitCode: 78, ok: false, created: false, problems: [{ setting: 'retention.ms' }] });
});

it('ends with 6 while the cluster is away, and changes nothing', async () => {
  const { run } = commandsOf(new BrokersSystem(), { DAYBOOK_KAFKA_BROKERS: '127.0.0.1:1' });
  for (const name of ['check', 'create']) {
    const { exitCode, stderr } = await run(name);
    expect(exitCode).toBe(6);
    expect(stderr).toContain('127.0.0.1:1');
  }
});

it('says that an embedded log has no topic', async () => {
  const { run } = commandsOf(new BrokersSystem(), { DAYBOOK_KAFKA_BROKERS: '' });
  for (const name of ['check', 'create']) {
    const { exitCode, stderr } = await run(name);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/there is no topic to create or check: the log is the embedded one/);
  }
});

it('does not put an empty topic in the place of one that was there', async () => {
  const system = new BrokersSystem();
  const { run, ask } = commandsOf(system);
  const dispatcher = await system.start('dispatcher');
  const former = await system.kafka.id();
  await dispatcher.end('SIGTERM');
  await system.kafka.delete();
  const { exitCode, stderr } = await run('create');
  expect(exitCode).toBe(78);
  expect(stderr).toMatch(/topic-lost/);
  expect(stderr).toContain(former);
  // Somebody made it by other means.
  await system.kafka.create(4);
  const check = await ask('check');
  expect(check).toMatchObject({ exitCode: 78, problems: [{ setting: 'topic id' }] });
  expect(check.problems[0]!.fix).toContain(join(system.folder, 'topics'));
  rmSync(join(system.folder, 'topics'), { recursive: true });
  expect(await ask('check')).toMatchObject({ exitCode: 0, ok: true });
});

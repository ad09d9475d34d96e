import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cruiser = join(root, 'node_modules/.bin/depcruise');
const configuration = join(root, '.dependency-cruiser.mjs');

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

interface Cruise {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: { readonly violations: readonly Violation[] };
}

describe('the source tree', () => {
  it('keeps every boundary, and every source file was looked at', async () => {
    const [result, files] = await Promise.all([cruise(root), sourceFiles(join(root, 'src'))]);
    const looked = result.modules.filter((module) => module.source.startsWith('src/'));

    expect(result.summary.violations.map(describeViolation)).toEqual([]);
    expect(looked.length).toBe(files.length);
    expect(files.length).toBeGreaterThan(0);
  }, 60_000);
});

/** A small tree that uses what the table allows, line by line: it must pass, or the rules forbid too much. */
const cleanTree: Readonly<Record<string, string>> = {
  'src/domain/job.ts': 'export interface Job { id: string }\nexport const job = 1;',
  'src/domain/decide.ts': "import { job } from './job.ts';\nexport const decide = job;",
  ...portFiles(
    'event-appender', 'event-reader', 'job-sender', 'job-receiver', 'execution-claims', 'projection-store',
    'projection-reader', 'presence-writer', 'presence-reader', 'queue-inspection', 'clock', 'ids', 'service', 'tokens', 'log-record', 'logger',
  ),
  'src/ports/event-appender.ts': "import type { Job } from '../domain/job.ts';\nimport type { Port } from './log-record.ts';\nexport type Appender = Job & Port;",
  'src/task-definition/define-task.ts': uses('../domain/job.ts', '../ports/logger.ts'),
  'src/event-producer/event-producer.ts': uses('../domain/job.ts', '../ports/event-appender.ts', '../ports/clock.ts', '../ports/ids.ts', './event-id.ts'),
  'src/event-producer/event-id.ts': uses('node:crypto'),
  'src/task-api/accept-task.ts': uses('./task-request.ts', '../domain/job.ts', '../task-definition/define-task.ts', '../event-producer/event-producer.ts', '../ports/clock.ts', '../ports/log-record.ts'),
  'src/task-api/task-request.ts': uses('zod'),
  'src/task-api/task-api.controller.ts': uses('@nestjs/common', './accept-task.ts', '../ports/tokens.ts'),
  'src/dispatch/dispatcher.ts': uses('../domain/decide.ts', '../ports/event-reader.ts', '../ports/job-sender.ts', '../ports/clock.ts', '../event-producer/event-producer.ts', '../ports/presence-reader.ts', '../ports/presence-writer.ts', '../ports/queue-inspection.ts'),
  'src/dispatch/dispatch.module.ts': uses('@nestjs/common', './dispatcher.ts', '../ports/tokens.ts', '../ports/service.ts'),
  'src/worker/worker.ts': uses('../domain/job.ts', '../ports/job-receiver.ts', '../ports/execution-claims.ts', '../ports/presence-writer.ts', '../task-definition/define-task.ts', '../event-producer/event-producer.ts'),
  'src/diary/projector.ts': uses('../domain/decide.ts', '../ports/event-reader.ts', '../ports/projection-store.ts', '../ports/projection-reader.ts'),
  'src/audit/audit.ts': "import type { Job } from '../domain/job.ts';\nimport '../ports/event-reader.ts';\nexport type Audited = Job;",
  'src/adapters/embedded/embedded-event-appender.ts': uses('./database.ts', '../../ports/event-appender.ts', '../../domain/job.ts'),
  'src/adapters/embedded/embedded-event-reader.ts': uses('./database.ts', '../../ports/event-reader.ts'),
  'src/adapters/embedded/embedded-projection-store.ts': uses('./database.ts', '../../ports/projection-store.ts'),
  'src/adapters/embedded/embedded-job-sender.ts': uses('./database.ts', '../../ports/job-sender.ts'),
  'src/adapters/embedded/database.ts': uses('node:sqlite', 'node:fs', 'node:path'),
  'src/adapters/kafka/kafka-event-reader.ts': uses('../../ports/event-reader.ts'),
  'src/adapters/rabbitmq/rabbitmq-job-sender.ts': uses('../../ports/job-sender.ts'),
  'src/client/http-client.ts': "import type { Job } from '../domain/job.ts';\nimport type { defined } from '../task-definition/define-task.ts';\nexport type Sent = Job | typeof defined;".replaceAll('defined', 'used'),
  'src/client.ts': uses('./client/http-client.ts'),
  'src/cli/main.ts': "import 'commander';\nimport 'node:fs';\nimport '../client/http-client.ts';\nexport const start = () => import('../apps/start-daybook.ts');\nexport const audit = () => import('../audit/audit.ts');",
  'src/index.ts': "import './task-definition/define-task.ts';\nimport type { used } from './apps/start-daybook.ts';\nexport type Start = typeof used;\nexport const start = () => import('./apps/start-daybook.ts');",
  'src/testing.ts': uses('./adapters/embedded/embedded-event-reader.ts', './domain/decide.ts', '@nestjs/core'),
  'src/apps/config.ts': uses('zod'),
  'src/apps/service-host.ts': "import type { FastifyInstance } from 'fastify';\nimport '@nestjs/core';\nimport 'node:http';\nimport 'pino';\nimport 'prom-client';\nexport type Host = FastifyInstance;",
  'src/apps/api.ts': uses('./config.ts', './service-host.ts', '../task-api/task-api.controller.ts', '../adapters/embedded/embedded-event-appender.ts'),
  'src/apps/dispatcher.ts': uses('./config.ts', '../dispatch/dispatch.module.ts', '../adapters/embedded/embedded-event-reader.ts', '../adapters/embedded/embedded-job-sender.ts'),
  'src/apps/worker.ts': uses('./config.ts', '../worker/worker.ts', '../adapters/embedded/embedded-event-appender.ts'),
  'src/apps/diary.ts': uses('./config.ts', '../diary/projector.ts', '../adapters/embedded/embedded-event-reader.ts', '../adapters/embedded/embedded-projection-store.ts'),
  'src/apps/wiring/everything.ts': uses('../api.ts', '../dispatcher.ts', '../worker.ts', '../diary.ts'),
  'src/apps/start-daybook.ts': uses('./wiring/everything.ts'),
  'src/worker/worker.test.ts': uses('./worker.ts', 'vitest', 'node:fs', '../../test/contracts/job-queue.ts'),
  'test/contracts/job-queue.ts': uses('../../src/ports/job-sender.ts'),
  'examples/tasks.ts': 'export const tasks = 1;',
};

interface Plant {
  readonly what: string;
  /** The offending file; it is added to the tree, or takes the place of the clean one. */
  readonly file: string;
  readonly source: string;
  readonly rule: string;
  readonly to: RegExp;
}

const plants: readonly Plant[] = [
  deny('domain imports a port', 'src/domain', "import '../ports/clock.ts';", /ports\/clock/),
  deny('domain imports a port for its type only', 'src/domain', "import type { Port } from '../ports/clock.ts';\nexport type P = Port;", /ports\/clock/),
  deny('domain imports a Node builtin', 'src/domain', "import 'node:fs';", /^(node:)?fs$/),
  deny('domain imports a package', 'src/domain', "import 'zod';", /zod/),
  deny('a port imports a module', 'src/ports', "import type { used } from '../dispatch/dispatcher.ts';\nexport type P = typeof used;", /dispatch/),
  deny('a port imports a Node builtin', 'src/ports', "import 'node:crypto';", /crypto/),
  deny('task-definition imports a package', 'src/task-definition', "import 'zod';", /zod/),
  deny('task-definition imports a port with authority', 'src/task-definition', "import '../ports/event-appender.ts';", /event-appender/),
  deny('event-producer imports the reader', 'src/event-producer', "import '../ports/event-reader.ts';", /event-reader/),
  deny('event-producer opens a file', 'src/event-producer', "import 'node:fs';", /^(node:)?fs$/),
  deny('the API imports the queue', 'src/task-api', "import '../ports/job-sender.ts';", /job-sender/),
  deny('the API imports a projection', 'src/task-api', "import '../ports/projection-reader.ts';", /projection-reader/),
  deny('the API hears the workers', 'src/task-api', "import '../ports/presence-reader.ts';", /presence-reader/),
  deny('the API appends without the producer', 'src/task-api', "import '../ports/event-appender.ts';", /event-appender/),
  deny('the API imports the worker dynamically', 'src/task-api', "export const load = () => import('../worker/worker.ts');", /worker/),
  deny('a use case of the API parses with zod by itself', 'src/task-api', "import 'zod';", /zod/),
  deny('a core file imports NestJS', 'src/dispatch', "import '@nestjs/common';", /@nestjs/),
  deny('a core file imports NestJS for its type only', 'src/worker', "import type { INestApplication } from '@nestjs/common';\nexport type P = INestApplication;", /@nestjs/),
  deny('a core file opens a file', 'src/worker', "import 'node:fs';", /^(node:)?fs$/),
  deny('dispatch executes', 'src/dispatch', "import '../worker/worker.ts';", /worker/),
  deny('dispatch writes a view', 'src/dispatch', "import '../ports/projection-store.ts';", /projection-store/),
  deny('dispatch takes a port by require', 'src/dispatch', "export const p = require('../ports/projection-store.ts');", /projection-store/),
  deny('the worker reads history', 'src/worker', "import '../ports/event-reader.ts';", /event-reader/),
  deny('the worker enqueues', 'src/worker', "import '../ports/job-sender.ts';", /job-sender/),
  deny('the worker hears other workers', 'src/worker', "import '../ports/presence-reader.ts';", /presence-reader/),
  deny('the worker looks at the queue from outside', 'src/worker', "import '../ports/queue-inspection.ts';", /queue-inspection/),
  deny('the worker imports the API', 'src/worker', "import '../task-api/accept-task.ts';", /task-api/),
  deny('the diary produces events', 'src/diary', "import '../event-producer/event-producer.ts';", /event-producer/),
  deny('the diary enqueues', 'src/diary', "import '../ports/job-sender.ts';", /job-sender/),
  deny('the diary speaks for a worker', 'src/diary', "import '../ports/presence-writer.ts';", /presence-writer/),
  deny('the diary appends', 'src/diary', "import '../ports/event-appender.ts';", /event-appender/),
  deny('a module names an adapter', 'src/diary', "import '../adapters/embedded/database.ts';", /adapters/),
  deny('audit runs domain code', 'src/audit', "import '../domain/decide.ts';", /domain/),
  deny('an adapter imports another', 'src/adapters/kafka', "import '../embedded/database.ts';", /embedded/),
  deny('an adapter imports a module', 'src/adapters/embedded', "import '../../dispatch/dispatcher.ts';", /dispatch/),
  deny('an adapter imports NestJS', 'src/adapters/embedded', "import '@nestjs/common';", /@nestjs/),
  deny('the client runs domain code', 'src/client', "import '../domain/decide.ts';", /domain/),
  deny('the client imports a package', 'src/client', "import 'zod';", /zod/),
  deny('the command line imports the server statically', 'src/cli', "import '../apps/api.ts';", /apps\/api/),
  deny('the command line imports a module', 'src/cli', "import '../diary/projector.ts';", /diary/),
  deny('an app runs fastify by itself', 'src/apps', "import 'fastify';", /fastify/),
  deny('an app imports an unnamed package', 'src/apps', "import 'fast-check';", /fast-check/),
  deny('a module imports the composition root', 'src/worker', "import '../apps/config.ts';", /apps/),
  {
    what: 'index.ts loads the server statically', rule: 'not-in-allowed', to: /start-daybook/,
    file: 'src/index.ts', source: "import './apps/start-daybook.ts';",
  },
  { ...deny('an import that leads nowhere', 'src/apps', "import './missing.ts';", /missing/), rule: 'not-to-unresolvable' },
  { ...deny('a file that imports itself by way of another', 'src/diary/queries', "import './back.ts';", /back/), rule: 'no-circular' },
  { ...deny('source that imports a test', 'src/apps', "import '../worker/worker.test.ts';", /worker\.test/), rule: 'not-to-tests' },
  { ...deny('source that imports test support', 'src/apps', "import '../../test/contracts/job-queue.ts';", /test\//), rule: 'not-to-tests' },
  { ...deny('source that imports an example', 'src/apps', "import '../../examples/tasks.ts';", /examples\//), rule: 'not-to-tests' },
  { ...deny('SQLite outside the embedded adapter', 'src/apps', "import 'node:sqlite';", /sqlite/), rule: 'sqlite-only-in-embedded' },
  leak('api', '../../adapters/rabbitmq/rabbitmq-job-sender.ts', /rabbitmq/),
  leak('dispatcher', '../../adapters/embedded/embedded-projection-store.ts', /projection-store/),
  leak('worker', '../../adapters/kafka/kafka-event-reader.ts', /event-reader/),
  leak('diary', '../../event-producer/event-producer.ts', /event-producer/),
];

describe('the rules', () => {
  let tree = '';
  let clean: Cruise;
  let planted: Cruise;

  beforeAll(async () => {
    await mkdir(join(root, '.cache'), { recursive: true });
    tree = await mkdtemp(join(root, '.cache', 'boundaries-'));
    const files = Object.fromEntries(plants.map(({ file, source }) => [file, source]));
    const support = {
      'src/diary/queries/back.ts': `import './${fileNameOf('a file that imports itself by way of another')}';`,
      ...Object.fromEntries(['api', 'dispatcher', 'worker', 'diary'].map((app) => [`src/apps/wiring/to-${app}.ts`, `import './leak-${app}.ts';`])),
    };
    [clean, planted] = await Promise.all([
      plantTree(join(tree, 'clean'), cleanTree),
      plantTree(join(tree, 'planted'), { ...cleanTree, ...support, ...files, ...leakingApps() }),
    ]);
  }, 60_000);

  afterAll(() => rm(tree, { recursive: true, force: true }));

  it('let pass a tree that uses every line of the table', () => {
    expect(clean.summary.violations.map(describeViolation)).toEqual([]);
    expect(clean.modules.filter((module) => module.source.startsWith('src/')).length).toBe(
      Object.keys(cleanTree).filter((file) => file.startsWith('src/')).length,
    );
  });

  it.each(plants)('catch: $what', ({ file, rule, to, source }) => {
    const app = rule.replace('-cannot-reach', '');
    const culprits = app === rule ? [file] : filesOfApp(app);
    for (const from of culprits) {
      const caught = planted.summary.violations.filter((violation) => violation.from === from && violation.rule.name === rule && to.test(violation.to));
      expect(caught.length, `${from}, ${file}: ${source}`).toBeGreaterThan(0);
    }
  });
});

describe('the wall around the domain', () => {
  const impure: Readonly<Record<string, string>> = {
    'process.ts': 'export const pid = process.pid;',
    'timer.ts': 'export const timer = setTimeout(() => undefined, 1);',
    'buffer.ts': "export const buffer = Buffer.from('a');",
    'request.ts': "export const response = fetch('a');",
    'node-type.ts': 'export type Emitter = NodeJS.EventEmitter;',
    'builtin.ts': "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;",
  };
  const pure = { 'pure.ts': 'export const later = (atMs: number): Date => new Date(atMs);' };
  let folder = '';
  let errors: string[] = [];

  beforeAll(async () => {
    await mkdir(join(root, '.cache'), { recursive: true });
    folder = await mkdtemp(join(root, '.cache', 'wall-'));
    const project = {
      extends: join(root, 'src/domain/tsconfig.json'),
      compilerOptions: { rootDir: '.', composite: false, tsBuildInfoFile: './wall.tsbuildinfo', incremental: true, noEmit: true },
      include: ['*.ts'],
    };
    await writeFiles(folder, { ...impure, ...pure, 'tsconfig.json': JSON.stringify(project) });
    const { stdout } = await runNode([join(root, 'node_modules/typescript/bin/tsc'), '--pretty', 'false', '-p', '.'], folder);
    errors = stdout.split('\n');
  }, 60_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(Object.entries(impure))('does not compile %s: %s', (file) => {
    expect(errors.filter((line) => line.startsWith(`${file}(`)).length, errors.join('\n')).toBeGreaterThan(0);
  });

  it('compiles what is pure', () => {
    expect(errors.filter((line) => line.startsWith('pure.ts'))).toEqual([]);
  });
});

function uses(...specifiers: string[]): string {
  return [...specifiers.map((specifier) => `import '${specifier}';`), 'export const used = 1;'].join('\n');
}

function portFiles(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`src/ports/${name}.ts`, 'export interface Port { a: string }']));
}

function deny(what: string, folder: string, source: string, to: RegExp): Plant {
  return { what, file: `${folder}/${fileNameOf(what)}`, source, rule: 'not-in-allowed', to };
}

function fileNameOf(what: string): string {
  return `${what.toLowerCase().replaceAll(/[^a-z]+/g, '-')}.ts`;
}

/** An app that reaches something forbidden by way of two innocent files. */
function leak(app: string, target: string, to: RegExp): Plant {
  return {
    what: `apps/${app}.ts reaches ${target.replaceAll('../', '')} by way of its wiring`,
    file: `src/apps/wiring/leak-${app}.ts`,
    source: `import '${target}';`,
    rule: `${app}-cannot-reach`,
    to,
  };
}

function leakingApps(): Record<string, string> {
  return Object.fromEntries(
    ['api', 'dispatcher', 'worker', 'diary'].flatMap((app) => filesOfApp(app).map((file) => [file, `import './wiring/to-${app}.ts';`])),
  );
}

/** The role, and a process of its own for it. */
function filesOfApp(app: string): string[] {
  return [`src/apps/${app}.ts`, `src/apps/${app}-process.ts`];
}

async function plantTree(base: string, files: Readonly<Record<string, string>>): Promise<Cruise> {
  await writeFiles(base, files);
  return cruise(base);
}

async function writeFiles(base: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(base, file)), { recursive: true });
    await writeFile(join(base, file), text);
  }
}

async function cruise(directory: string): Promise<Cruise> {
  const { stdout, stderr } = await runNode([cruiser, '--config', configuration, '--output-type', 'json', 'src'], directory);
  if (stdout === '') throw new Error(`dependency-cruiser printed nothing: ${stderr}`);
  return JSON.parse(stdout) as Cruise;
}

/** The exit code tells how many faults were found; the output says which, so only the output counts here. */
function runNode(parameters: readonly string[], directory: string): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, parameters, { cwd: directory, maxBuffer: 64 * 1024 * 1024 }, (_error, stdout, stderr) => {
      resolve({ stdout, stderr });
    });
  });
}

async function sourceFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ts')).map((entry) => join(entry.parentPath, entry.name));
}

function describeViolation({ rule, from, to }: Violation): string {
  return `${rule.name}: ${from} -> ${to}`;
}

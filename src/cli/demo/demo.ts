import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '../../client/create-client.ts';
import { createClient } from '../../client/create-client.ts';
import { CommandError, exitCodes, type ExitCode } from '../exit-codes.ts';
import { formatBytes, formatCount, plural } from '../format.ts';
import { renderTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { collectFiles, hasChanged, mostBytes, mostFiles, type FileCollection } from './collect-files.ts';
import type { DemoPlace } from './demo-place.ts';
import { planDemo, type PlannedTask } from './demo-plan.ts';
import { reportDemo } from './demo-report.ts';
import { independentChecksums } from './independent-checksums.ts';
import { judgeDemo, type DemoEvidence } from './judge-demo.ts';
import { loadExamples, type Examples, type WebhookReceiver } from './load-examples.ts';
import { ProgressLine } from './progress-line.ts';
import { readLog } from './read-log.ts';
import { runPlan, type PlayedTask } from './run-plan.ts';

export interface DemoOptions {
  /** Default: the project's own sources. */
  readonly folder?: string;
  readonly place: DemoPlace;
  /** Go on serving when it is over, until a signal comes. */
  readonly keep: boolean;
}

/** When the demo gives up on tasks that have not ended. */
const limitMs = 50_000;

/**
 * Runs the whole system in this process on real files: every result is compared with a computation that does not
 * know Daybook. Exit code 0 only if all were right.
 */
export async function runDemo(terminal: Terminal, options: DemoOptions): Promise<ExitCode> {
  const deadlineMs = performance.now() + limitMs;
  const folder = options.folder ?? ownSources();
  const { place } = options;
  const collection = await filesOf(folder, place.dataDir);
  const examples = await loadExamples();
  const receiver = await examples.startWebhookReceiver();
  const daybook = await startServer(examples, place);
  try {
    const client = createClient({ url: daybook.url });
    const plan = planDemo(collection.files, receiver.url);
    introduce(terminal, { folder, place, url: daybook.url, collection, plan });
    const startedMs = performance.now();
    const evidence = await play(terminal, client, plan, receiver, deadlineMs);
    const elapsedMs = performance.now() - startedMs;
    const verdict = judgeDemo(evidence);
    await reportDemo(terminal, { verdict, elapsedMs, events: evidence.log.records, place, url: daybook.url, keep: options.keep, tasks: examples.path });
    if (options.keep) await untilSignal();
    return verdict.wrong.length === 0 ? exitCodes.ok : exitCodes.failure;
  } finally {
    await Promise.all([daybook.stop(), receiver.close()]);
  }
}

async function play(
  terminal: Terminal,
  client: Client,
  plan: readonly PlannedTask[],
  receiver: WebhookReceiver,
  deadlineMs: number,
): Promise<DemoEvidence> {
  const progress = new ProgressLine(terminal, plan.length);
  let played: readonly PlayedTask[];
  try {
    played = await runPlan(client, plan, deadlineMs, () => progress.advance());
  } finally {
    progress.stop();
  }
  const files = plan.flatMap(({ file }) => (file === undefined ? [] : [file]));
  const checksums = await independentChecksums(files.map(({ path }) => path));
  // Asked after both computations: a file that is still the same was the same for both.
  const changed = await Promise.all(files.map(async (file) => ((await hasChanged(file)) ? [file.path] : [])));
  let listed = 0;
  for await (const _task of client.list({ limit: 500 })) listed += 1;
  return {
    played,
    checksums,
    changedFiles: new Set(changed.flat()),
    deliveries: receiver.deliveries,
    log: await readLog(client),
    listed,
  };
}

/** The checkout's sources; an installed package has none and takes what it ships. */
function ownSources(): string {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const sources = join(root, 'src');
  return existsSync(sources) ? sources : join(root, 'dist');
}

async function filesOf(folder: string, dataDir: string | null): Promise<FileCollection> {
  let collection: FileCollection;
  try {
    collection = await collectFiles(folder, dataDir);
  } catch (error) {
    throw new CommandError(exitCodes.usage, `${folder} cannot be read as a folder: ${(error as Error).message}`, {
      next: 'daybook demo FOLDER',
      cause: error,
    });
  }
  if (collection.files.length > 0) return collection;
  throw new CommandError(exitCodes.usage, `${folder} holds no file that can be read`, { next: 'daybook demo FOLDER' });
}

async function startServer({ tasks }: Examples, { settings }: DemoPlace) {
  const { startDaybook } = await import('../../apps/start-daybook.ts');
  type Options = Parameters<typeof startDaybook>[0];
  const daybook = await startDaybook({ ...(settings as Partial<Options>), tasks: tasks as Options['tasks'], port: 0, logLevel: 'error' });
  if (daybook.url === null) throw new Error('the demo was started without HTTP');
  return { url: daybook.url, stop: () => daybook.stop() };
}

interface Introduction {
  readonly folder: string;
  readonly place: DemoPlace;
  readonly url: string;
  readonly collection: FileCollection;
  readonly plan: readonly PlannedTask[];
}

function introduce(terminal: Terminal, { folder, place, url, collection, plan }: Introduction): void {
  const { bold, dim, yellow } = terminal.notePaint;
  const types = [...new Set(plan.map(({ type }) => type))].reverse();
  const kinds = types.map((type) => `${formatCount(plan.filter((task) => task.type === type).length)} ${type}`);
  const rows = [
    ['folder', `${shortPath(folder)}: ${plural(collection.files.length, 'file')}, ${formatBytes(collection.bytes)}`],
    ['tasks', kinds.join(', ')],
    ['engine', place.engine],
    ['data', place.data],
    ['url', url],
  ].map(([name = '', value = '']) => [dim(name), value]);
  terminal.note(`\n${bold('Daybook demo')}\n`);
  terminal.note(renderTable([{ title: '' }, { title: '' }], rows, { columns: null, indent: '  ' }));
  if (collection.capped) {
    terminal.note(yellow(`  only the first ${formatCount(mostFiles)} files and ${formatBytes(mostBytes)} of the folder are taken`));
  }
  if (collection.unreadable > 0) terminal.note(yellow(`  ${plural(collection.unreadable, 'file')} left out: not readable`));
  terminal.note('');
}

function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere === '' ? '.' : fromHere.startsWith('..') ? path : fromHere;
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

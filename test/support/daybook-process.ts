import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Effect } from '../guarantees/evidence.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const bin = join(root, 'bin/daybook');
const startTimeoutMs = 60_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface DaybookProcess {
  readonly url: string;
  readonly pid: number;
  /** What it said on stdout when it was ready. */
  readonly ready: { readonly ready: boolean; readonly role: string; readonly port: number; readonly pid: number };
  readonly exited: Promise<Exit>;
  /** Its log, once it has ended. */
  readonly said: Promise<string>;
  /** Sends a signal; resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<Exit>;
  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void;
}

export interface ProcessOptions {
  readonly folder: string;
  /** Variables, in full. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What starts it, default `bin/daybook start`. It must become the process, not start one. */
  readonly command?: readonly [file: string, ...args: string[]];
}

/** Where the processes of a data folder keep their effect ledger: beside the folder, which may be on a full disk. */
export function ledgerOf(folder: string): string {
  return `${folder}.effects`;
}

/** What handlers did in the processes of a data folder. The last line may be half written while one runs. */
export function readEffects(folder: string): Effect[] {
  if (!existsSync(ledgerOf(folder))) return [];
  const lines = readFileSync(ledgerOf(folder), 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Effect);
}

/** Begins `bin/daybook start` with the scenario tasks on a free port, in a process group of its own. It ends with the test at the latest. */
export function spawnDaybook({ folder, settings = {}, command = [bin, 'start'] }: ProcessOptions): ChildProcess {
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment({
      DAYBOOK_DATA_DIR: folder,
      DAYBOOK_PORT: '0',
      DAYBOOK_TASKS: 'test/support/scenario-tasks.ts',
      DAYBOOK_LOG_LEVEL: 'warn',
      EFFECT_LEDGER: ledgerOf(folder),
      ...settings,
    }),
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await exitOf(child);
  });
  return child;
}

/** Starts it and waits until it is ready. Fails when it ends before that, with what it said. */
export async function startDaybookProcess(options: ProcessOptions): Promise<DaybookProcess> {
  const child = spawnDaybook(options);
  const exited = exitOf(child);
  const stderr = text(child.stderr!);
  const ready = await readyLine(child, exited, stderr);
  return {
    url: `http://127.0.0.1:${ready.port}`,
    pid: child.pid!,
    ready,
    exited,
    said: stderr,
    signal: (signal) => void child.kill(signal),
    end: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

/** Runs a command to its end. */
export async function runDaybook(args: readonly string[], settings: Readonly<Record<string, string>> = {}) {
  const child = spawn(bin, args, { cwd: root, env: environment(settings), stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, { code }] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
  return { stdout, stderr, exitCode: code };
}

export function exitOf(child: ChildProcess): Promise<Exit> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
}

/** Whether any process of the group is left: the process itself, or a child that outlived it. */
export function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

function readyLine(child: ChildProcess, exited: Promise<Exit>, stderr: Promise<string>): Promise<DaybookProcess['ready']> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it was not ready within ${startTimeoutMs} ms`)), startTimeoutMs);
    let output = '';
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (!output.includes('\n')) return;
      clearTimeout(timer);
      resolve(JSON.parse(output) as DaybookProcess['ready']);
    });
    void exited.then(async ({ code, signal }) => {
      clearTimeout(timer);
      reject(new Error(`it ended with ${String(code ?? signal)} before it was ready: ${await stderr}`));
    });
  });
}

/** The environment without settings of whoever runs the tests. Node's compile cache makes the many starts cheap. */
function environment(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DAYBOOK_') && name !== 'FORCE_COLOR' && name !== 'NODE_OPTIONS');
  return {
    ...Object.fromEntries(inherited),
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    NODE_COMPILE_CACHE: join(root, '.cache/compile'),
    ...settings,
  };
}

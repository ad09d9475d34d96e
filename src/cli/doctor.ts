import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { ServerAddress } from './server-connection.ts';
import type { SettingOverrides } from './setting-flags.ts';
import { oneLine, renderTable } from './table.ts';
import type { Terminal } from './terminal.ts';

export interface DoctorOptions {
  readonly address: ServerAddress;
  /** Whether somebody named a server, so that none answering is a fault. */
  readonly serverExpected: boolean;
  readonly overrides: SettingOverrides;
}

/** `note`: nothing is wrong, but worth knowing. */
type Finding = 'ok' | 'note' | 'failed';

export interface Check {
  readonly name: string;
  readonly finding: Finding;
  readonly detail: string;
  /** What to do; only where something failed or waits to be done. */
  readonly fix?: string;
}

const newestUnfit = [22, 21] as const;
const answerWithinMs = 3_000;

/** Looks at everything that a start needs, changes nothing, and says how to mend what is wrong. */
export async function doctor(terminal: Terminal, options: DoctorOptions): Promise<ExitCode> {
  const checks: Check[] = [checkNode(process.versions.node)];
  const { check, config } = await checkConfiguration(terminal, options.overrides);
  checks.push(check);
  const owner = config === null ? null : await folderOwner(config.dataDir);
  if (config !== null) checks.push(await checkFolder(config.dataDir, owner), await checkTasks(config.tasks));
  const serverExpected = options.serverExpected || owner !== null;
  const { url, diaryUrl } = options.address;
  const servers = url === diaryUrl ? [['server', url]] as const : [['api', url], ['diary', diaryUrl]] as const;
  const answers = await Promise.all(servers.map(([role, address]) => checkServer(role, address, serverExpected)));
  if (config !== null) checks.push(await checkPort(config.host, config.port, await answersAsDaybook(config.host, config.port)));
  checks.push(...answers);

  const ok = checks.every(({ finding }) => finding !== 'failed');
  if (terminal.json) await terminal.outJson({ ok, checks });
  else await terminal.out(renderChecks(checks, terminal));
  if (!ok) terminal.hint(checks.find(({ finding, fix }) => finding === 'failed' && fix !== undefined)?.fix ?? 'daybook config');
  return ok ? exitCodes.ok : exitCodes.failure;
}

function renderChecks(checks: readonly Check[], { paint, columns }: Terminal): string {
  const marks = { ok: paint.green('✓'), note: paint.yellow('·'), failed: paint.red('✗') } as const;
  const rows = checks.flatMap(({ name, finding, detail, fix }) => [
    [marks[finding], name, oneLine(detail)],
    ...(fix === undefined ? [] : [['', '', paint.dim(`→ ${fix}`)]]),
  ]);
  return renderTable([{ title: '' }, { title: '' }, { title: '' }], rows, { columns, indent: '  ' });
}

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fits = major > newestUnfit[0] || (major === newestUnfit[0] && minor > newestUnfit[1]);
  return fits
    ? { name: 'node', finding: 'ok', detail: version }
    : { name: 'node', finding: 'failed', detail: `${version} is too old`, fix: 'install Node 22.22 or newer' };
}

async function checkConfiguration(terminal: Terminal, overrides: SettingOverrides) {
  const { loadConfig } = await import('../apps/config.ts');
  const { environment } = terminal.surroundings;
  try {
    const config = loadConfig(environment, { overrides });
    const names = Object.keys(environment).filter((name) => name.startsWith('DAYBOOK_')).sort();
    const check: Check = { name: 'configuration', finding: 'ok', detail: names.length === 0 ? 'defaults' : `set: ${names.join(', ')}` };
    return { check, config };
  } catch (error) {
    const errors = (error as { errors?: readonly string[] }).errors ?? [(error as Error).message];
    const check: Check = { name: 'configuration', finding: 'failed', detail: errors.join('; '), fix: 'daybook config, once these are mended' };
    return { check, config: null };
  }
}

/** The process that has the folder for writing; null when there is none. Reads a note of the owner, never its lock. */
async function folderOwner(folder: string): Promise<number | null> {
  try {
    const pid = Number((await readFile(join(folder, 'writer.pid'), 'utf8')).trim());
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else. Anything else: no note, or its writer is gone.
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? -1 : null;
  }
}

async function checkFolder(folder: string, owner: number | null): Promise<Check> {
  const path = resolve(folder);
  const name = 'data folder';
  try {
    const existing = await nearestExisting(path);
    await access(existing, constants.W_OK | constants.X_OK);
    if (!(await stat(existing)).isDirectory()) return { name, finding: 'failed', detail: `${existing} is not a folder`, fix: 'set DAYBOOK_DATA_DIR' };
    if (owner !== null) return { name, finding: 'ok', detail: `${path}, in use by ${owner === -1 ? 'another user' : `the process ${owner}`}` };
    return { name, finding: 'ok', detail: existing === path ? `${path}, free` : `${path}, will be made` };
  } catch (error) {
    return { name, finding: 'failed', detail: `${path} cannot be written: ${(error as Error).message}`, fix: 'set DAYBOOK_DATA_DIR to a folder that you may write' };
  }
}

async function nearestExisting(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return nearestExisting(dirname(path));
  }
}

async function checkTasks(modules: readonly string[]): Promise<Check> {
  const name = 'task modules';
  if (modules.length === 0) {
    return { name, finding: 'note', detail: 'none: every submission will be refused', fix: 'set DAYBOOK_TASKS, for example to examples/tasks.ts' };
  }
  try {
    const { loadTasks } = await import('../apps/load-tasks.ts');
    const entries = await loadTasks(modules, process.cwd());
    const types = new Set(entries.map((entry) => ('definition' in entry ? entry.definition : entry).type));
    return { name, finding: 'ok', detail: `${modules.join(', ')}: ${[...types].sort().join(', ')}` };
  } catch (error) {
    return { name, finding: 'failed', detail: (error as Error).message, fix: 'mend DAYBOOK_TASKS' };
  }
}

async function checkPort(host: string, port: number, takenByDaybook: boolean): Promise<Check> {
  const name = 'port';
  if (port === 0) return { name, finding: 'ok', detail: `any free one on ${host}` };
  const error = await listenError(host, port);
  if (error === null) return { name, finding: 'ok', detail: `${port} on ${host} is free` };
  if (error.code === 'EADDRINUSE' && takenByDaybook) return { name, finding: 'ok', detail: `${port} on ${host}: Daybook is running there` };
  const reason = error.code === 'EADDRINUSE' ? 'taken by another program' : error.message;
  return { name, finding: 'failed', detail: `${port} on ${host}: ${reason}`, fix: 'set DAYBOOK_PORT to a free port' };
}

function listenError(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

async function answersAsDaybook(host: string, port: number): Promise<boolean> {
  if (port === 0) return false;
  const readiness = await askReadiness(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
  return typeof readiness === 'object';
}

async function checkServer(role: string, url: string, expected: boolean): Promise<Check> {
  const readiness = await askReadiness(url);
  if (typeof readiness === 'string') {
    return expected
      ? { name: role, finding: 'failed', detail: `${url}: ${readiness}`, fix: 'daybook start, or set DAYBOOK_URL to where it runs' }
      : { name: role, finding: 'note', detail: `${url}: not running`, fix: 'daybook start' };
  }
  if (readiness.ready) return { name: role, finding: 'ok', detail: `${url} is ready` };
  const away = Object.entries(readiness.dependencies).filter(([, { ok }]) => !ok).map(([name, { detail }]) => `${name}: ${detail}`);
  return { name: role, finding: 'failed', detail: `${url} is not ready: ${away.join('; ') || 'it does not say why'}`, fix: 'mend what is away; it recovers by itself' };
}

interface Readiness {
  readonly ready: boolean;
  readonly dependencies: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>;
}

/** The answer of `/readyz`, or why there is none. */
async function askReadiness(url: string): Promise<Readiness | string> {
  try {
    const response = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(answerWithinMs) });
    const body = (await response.json()) as { status?: unknown; dependencies?: Readiness['dependencies'] };
    if (body.status === undefined) return 'what answers there is not Daybook';
    return { ready: response.ok, dependencies: body.dependencies ?? {} };
  } catch (error) {
    if (error instanceof SyntaxError) return 'what answers there is not Daybook';
    const { cause, message } = error as Error & { cause?: { code?: string } };
    return cause?.code === 'ECONNREFUSED' ? 'no server answers' : (cause?.code ?? message);
  }
}

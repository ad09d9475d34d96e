import type { ProjectionItem } from '../client/answers.ts';
import type { Client } from '../client/create-client.ts';
import { CommandError, exitCodes, type ExitCode } from './exit-codes.ts';
import { formatCount, formatDuration, formatInstant } from './format.ts';
import { oneLine, renderTable } from './table.ts';
import type { Paint, Terminal } from './terminal.ts';

/** Between two looks at whether a rebuild is done. */
const pollMs = 100;

export async function listProjections(terminal: Terminal, client: Client): Promise<ExitCode> {
  const page = await client.projections();
  if (terminal.json) await terminal.outJson(page);
  else await terminal.out(renderProjections(page.items, terminal));
  return exitCodes.ok;
}

export interface RebuildFlags {
  /** Return once the server has begun. */
  readonly wait: boolean;
  readonly timeoutMs: number;
}

/**
 * Rebuilds a projection from the log beside the live one, and says whether both were equal. The server goes on when
 * this command is interrupted.
 */
export async function rebuildProjection(terminal: Terminal, client: Client, wanted: string | undefined, flags: RebuildFlags): Promise<ExitCode> {
  const before = pick((await client.projections()).items, wanted);
  const { operation } = await client.rebuild(before.name);
  if (!flags.wait) {
    if (terminal.json) await terminal.outJson({ name: before.name, operation });
    else await terminal.out(`rebuild of ${before.name} started`);
    terminal.hint('daybook projection list');
    return exitCodes.ok;
  }
  const after = await rebuilt(client, before, operation, flags.timeoutMs);
  if (terminal.json) await terminal.outJson(after);
  else await terminal.out(renderOutcome(after, terminal.paint));
  return after.lastRebuild?.error == null && after.lastRebuild?.equal !== false ? exitCodes.ok : exitCodes.failure;
}

/** Asks until the projection names the operation as its last rebuild. */
async function rebuilt(client: Client, before: ProjectionItem, operation: string, timeoutMs: number): Promise<ProjectionItem> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const now = pick((await client.projections()).items, before.name);
    if (now.lastRebuild?.operation === operation) return now;
    if (performance.now() >= deadlineMs) {
      throw new CommandError(exitCodes.timedOut, `the rebuild of ${before.name} goes on after ${formatDuration(timeoutMs)}`, {
        next: 'daybook projection list',
      });
    }
    await new Promise((resolve) => {
      setTimeout(resolve, pollMs);
    });
  }
}

function renderOutcome({ name, digest, lastRebuild }: ProjectionItem, { bold, dim, green, red }: Paint): string {
  if (lastRebuild?.error != null) return `${bold(name)} was ${red('not rebuilt')}: ${oneLine(lastRebuild.error)}`;
  const records = lastRebuild?.events === undefined ? '' : ` ${formatCount(lastRebuild.events)} records`;
  const time = lastRebuild?.durationMs === undefined ? '' : ` in ${formatDuration(lastRebuild.durationMs)}`;
  const verdicts = { true: green('equal to what was served'), false: red('NOT equal to what was served'), null: 'there was nothing to compare with' };
  const verdict = verdicts[String(lastRebuild?.equal ?? null) as keyof typeof verdicts];
  return `${bold(name)} rebuilt from${records === '' ? ' the log' : records}${time}: ${verdict}\n  ${dim('digest')}  ${digest ?? '-'}`;
}

function pick(projections: readonly ProjectionItem[], wanted: string | undefined): ProjectionItem {
  const names = projections.map(({ name }) => name).join(', ') || 'none';
  const [only] = projections;
  if (wanted === undefined) {
    if (only !== undefined && projections.length === 1) return only;
    throw new CommandError(exitCodes.usage, `name the projection to rebuild: ${names}`, { next: 'daybook projection list' });
  }
  const found = projections.find(({ name }) => name === wanted);
  if (found) return found;
  throw new CommandError(exitCodes.notFound, `there is no projection ${JSON.stringify(wanted)}; there are: ${names}`, {
    next: 'daybook projection list',
  });
}

function renderProjections(projections: readonly ProjectionItem[], { paint, columns }: Terminal): string {
  const rows = projections.map((projection) => [
    projection.name,
    projection.state === 'live' ? paint.green('live') : paint.yellow(projection.state),
    formatCount(Object.values(projection.positions).reduce((sum, offset) => sum + offset, 0)),
    formatCount(projection.lag),
    projection.digest?.slice(0, 16) ?? '-',
    renderLastRebuild(projection, paint),
  ]);
  const titles = [
    { title: 'name' },
    { title: 'state' },
    { title: 'records', align: 'right' },
    { title: 'behind', align: 'right' },
    { title: 'digest' },
    { title: 'last rebuild (UTC)' },
  ] as const;
  return renderTable(titles, rows, { columns, title: paint.dim });
}

function renderLastRebuild({ lastRebuild }: ProjectionItem, paint: Paint): string {
  if (lastRebuild == null) return '-';
  const verdicts = { true: paint.green('equal'), false: paint.red('NOT equal'), null: lastRebuild.error == null ? 'the first' : paint.red('failed') };
  return `${formatInstant(lastRebuild.finishedAt)}  ${verdicts[String(lastRebuild.equal) as keyof typeof verdicts]}`;
}

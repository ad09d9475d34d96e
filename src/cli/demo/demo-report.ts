import { relative } from 'node:path';
import { formatCount, formatDuration } from '../format.ts';
import { oneLine, renderTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { DemoPlace } from './demo-place.ts';
import { isWrong, type DemoVerdict } from './judge-demo.ts';

export interface DemoReport {
  readonly verdict: DemoVerdict;
  readonly elapsedMs: number;
  /** Records in the log. */
  readonly events: number;
  readonly place: DemoPlace;
  readonly url: string;
  readonly keep: boolean;
  /** The module with the tasks of the demo. */
  readonly tasks: string;
}

/** Wrong results that are printed one by one. */
const mostWrongs = 20;

/** Ends the demo: the table, the verdict, and where to look further. */
export async function reportDemo(terminal: Terminal, report: DemoReport): Promise<void> {
  const { verdict, elapsedMs, events, place, url } = report;
  const ok = verdict.wrong.length === 0;
  if (terminal.json) {
    const { checks, wrong, latencyMs } = verdict;
    await terminal.outJson({ ok, checks, wrong, latencyMs, events, elapsedMs: Math.round(elapsedMs), dataDir: place.dataDir, topic: place.topic, url });
    return;
  }
  const { bold, green, red } = terminal.paint;
  await terminal.out(`\n${renderChecks(terminal, verdict)}\n\n${renderFigures(terminal, report)}\n`);
  if (ok) await terminal.out(bold(green(`  Every result was right, in ${formatDuration(elapsedMs)}.`)));
  else {
    await terminal.out(bold(red(`  ${formatCount(verdict.wrong.length)} wrong:`)));
    for (const sentence of verdict.wrong.slice(0, mostWrongs)) await terminal.out(`  ${red('✗')} ${oneLine(sentence)}`);
    if (verdict.wrong.length > mostWrongs) await terminal.out(`  and ${verdict.wrong.length - mostWrongs} more: daybook demo --json`);
  }
  terminal.note(`\n${whereToLook(report, terminal.notePaint.dim)}\n`);
}

function renderChecks(terminal: Terminal, { checks }: DemoVerdict): string {
  const { dim, green, red } = terminal.paint;
  const rows = checks.map((check) => [
    isWrong(check) ? red('✗') : green('✓'),
    check.name,
    formatCount(check.expected),
    isWrong(check) ? red(formatCount(check.found)) : formatCount(check.found),
    dim(check.note),
  ]);
  const titles = [
    { title: '' },
    { title: '' },
    { title: 'expected', align: 'right' },
    { title: 'found', align: 'right' },
    { title: '' },
  ] as const;
  return renderTable(titles, rows, { columns: terminal.columns, title: dim, indent: '  ' });
}

function renderFigures({ paint, columns }: Terminal, { verdict, events }: DemoReport): string {
  const { latencyMs } = verdict;
  const latency = latencyMs === null ? '-' : `p50 ${formatDuration(latencyMs.p50)}, p99 ${formatDuration(latencyMs.p99)}`;
  const rows = [
    [paint.dim('accepted → completed'), latency, paint.dim('tasks that needed one attempt')],
    [paint.dim('events written'), formatCount(events), paint.dim('the whole history, in one log')],
  ];
  return renderTable([{ title: '' }, { title: '' }, { title: '' }], rows, { columns, indent: '  ' });
}

function whereToLook({ place, url, keep, tasks }: DemoReport, dim: (text: string) => string): string {
  if (keep) {
    return [
      `  ${dim('look further:')} ${url}/docs`,
      `                daybook task list --q state:failed --url ${url}`,
      `  ${dim('it serves until Ctrl-C; the data stays in')} ${place.data}`,
    ].join('\n');
  }
  const fromHere = relative(process.cwd(), tasks);
  const examples = fromHere.startsWith('..') ? tasks : fromHere;
  const variables = Object.entries(place.environment).map(([name, value]) => `${name}=${value} `).join('');
  const folder = place.dataDir === null ? '' : ` --data-dir ${place.dataDir}`;
  const commands = [
    ...(place.environmentFile === null ? [] : [`set -a; . ${place.environmentFile}; set +a`]),
    `${variables}DAYBOOK_TASKS=${examples} daybook start${folder}`,
    'daybook task list --q state:failed',
    `${variables}daybook log export${folder}`,
  ];
  return commands.map((command, index) => `  ${index === 0 ? dim('look further:') : '             '} ${command}`).join('\n');
}

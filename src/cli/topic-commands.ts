import { CommandError, codeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import type { SettingOverrides } from './setting-flags.ts';
import { oneLine, renderTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** What the server's code tells of a topic. */
interface TopicReport {
  readonly topic: string;
  readonly found: { readonly topicId: string; readonly partitions: number; readonly replicas: number } | null;
  readonly settings: ReadonlyArray<{ readonly setting: string; readonly value: string; readonly required: string; readonly why: string; readonly fix: string | null }>;
  readonly problems: ReadonlyArray<{ readonly setting: string; readonly problem: string; readonly fix: string }>;
}

const unavailableCodes: ReadonlySet<string> = new Set(['log-unavailable', 'snapshot-unavailable']);

/** Creates the topic where it is missing, then says how it is. Made again, it changes nothing. */
export async function createTopic(terminal: Terminal, overrides: SettingOverrides): Promise<ExitCode> {
  const config = await configOnKafka(terminal, overrides);
  const { createMissingTopic } = await import('../apps/manage-topic.ts');
  return asking(async () => {
    const { created, report } = await createMissingTopic(config);
    if (!terminal.json) await terminal.out(created ? `created the topic ${config.topic}` : `the topic ${config.topic} exists; nothing was changed`);
    return show(terminal, report, { created });
  });
}

/** Prints each setting of the topic, what it must be, and the command that mends it. Changes nothing. */
export async function checkTopic(terminal: Terminal, overrides: SettingOverrides): Promise<ExitCode> {
  const config = await configOnKafka(terminal, overrides);
  const { reportTopic } = await import('../apps/manage-topic.ts');
  return asking(async () => show(terminal, await reportTopic(config)));
}

async function configOnKafka(terminal: Terminal, overrides: SettingOverrides) {
  const { loadConfig } = await import('../apps/config.ts');
  const config = loadConfig(terminal.surroundings.environment, { overrides });
  if (config.kafkaBrokers !== null) return config;
  throw new CommandError(exitCodes.usage, `there is no topic to create or check: the log is the embedded one in ${config.dataDir}, which daybook start makes`, {
    next: 'set DAYBOOK_KAFKA_BROKERS to the cluster whose topic is meant',
  });
}

/** A cluster that is away is no fault of the topic. */
async function asking(ask: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await ask();
  } catch (error) {
    if (!unavailableCodes.has(codeOf(error) ?? '')) throw error;
    throw new CommandError(exitCodes.unavailable, (error as Error).message, { next: 'the same command again, once it answers', cause: error });
  }
}

async function show(terminal: Terminal, report: TopicReport, also: { readonly created?: boolean } = {}): Promise<ExitCode> {
  const { topic, found, settings, problems } = report;
  const ok = problems.length === 0;
  if (terminal.json) await terminal.outJson({ topic, ok, ...also, ...(found ?? { topicId: null }), settings, problems });
  else await terminal.out(render(report, terminal));
  if (!ok) terminal.hint(problems[0]?.fix ?? '');
  return ok ? exitCodes.ok : exitCodes.configuration;
}

function render({ topic, found, settings, problems }: TopicReport, { paint, columns }: Terminal): string {
  const others = problems.filter(({ setting }) => !settings.some((each) => each.setting === setting));
  const rows = [
    ...settings.flatMap(({ setting, value, required, why, fix }) => [
      [fix === null ? paint.green('✓') : paint.red('✗'), setting, value === '' ? '-' : value, fix === null ? paint.dim(oneLine(why)) : `must be ${required}: ${oneLine(why)}`],
      ...(fix === null ? [] : [['', '', '', paint.dim(`→ ${fix}`)]]),
    ]),
    ...others.flatMap(({ setting, problem, fix }) => [[paint.red('✗'), setting, '', oneLine(problem)], ['', '', '', paint.dim(`→ ${fix}`)]]),
  ];
  const title = found ? `${topic}: id ${found.topicId}, ${found.partitions} partitions, ${found.replicas} replicas\n` : '';
  return `${title}${renderTable([{ title: '' }, { title: '' }, { title: '' }, { title: '' }], rows, { columns, indent: '  ' })}`;
}

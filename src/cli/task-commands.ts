import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import type { EventItem, JsonValue, RequestRecorded, TaskView } from '../client/answers.ts';
import type { Client, SubmitOptions, SubmittedTask } from '../client/create-client.ts';
import { CommandError, exitCodes, type ExitCode } from './exit-codes.ts';
import { formatInstant } from './format.ts';
import { oneLine, renderTable } from './table.ts';
import { paintState, renderTask, renderTimeline, tookOf } from './task-view.ts';
import type { Terminal } from './terminal.ts';

export interface SubmitFlags extends SubmitOptions {
  readonly wait: boolean;
  readonly timeoutMs: number;
}

/** Submits, and with `wait` follows the task to its end. */
export async function submitTask(terminal: Terminal, client: Client, type: string, payload: JsonValue, flags: SubmitFlags): Promise<ExitCode> {
  const { wait, timeoutMs, ...options } = flags;
  const task = await client.submit(type, payload, options);
  if (wait) return followTask(terminal, client, task, timeoutMs);
  if (terminal.json) await terminal.outJson({ id: task.id, type: task.type, receipt: task.receipt });
  else await terminal.out(renderSubmitted(terminal, task));
  terminal.hint(`daybook task get ${task.id}`);
  return exitCodes.ok;
}

async function followTask(terminal: Terminal, client: Client, submitted: SubmittedTask, timeoutMs: number): Promise<ExitCode> {
  const task = await client.wait(submitted, { timeoutMs });
  if (terminal.json) await terminal.outJson({ ...task, receipt: submitted.receipt });
  else await showTask(terminal, client, task);
  return exitCodeOfTask(task);
}

export async function getTask(terminal: Terminal, client: Client, id: string): Promise<ExitCode> {
  const task = await client.get<JsonValue>(id);
  if (terminal.json) await terminal.outJson(task);
  else await showTask(terminal, client, task);
  return exitCodes.ok;
}

export async function waitForTask(terminal: Terminal, client: Client, id: string, timeoutMs: number): Promise<ExitCode> {
  const task = await client.wait<JsonValue>(id, { timeoutMs });
  if (terminal.json) await terminal.outJson(task);
  else await showTask(terminal, client, task);
  return exitCodeOfTask(task);
}

export async function showEvents(terminal: Terminal, client: Client, id: string): Promise<ExitCode> {
  const page = await client.events(id);
  if (terminal.json) await terminal.outJson(page);
  else await terminal.out(renderTimeline(page.items, terminal.paint, terminal.columns));
  return exitCodes.ok;
}

export interface ListFlags {
  readonly q?: string;
  readonly limit: number;
  readonly cursor?: string;
}

export async function listTasks(terminal: Terminal, client: Client, flags: ListFlags): Promise<ExitCode> {
  const page = await client.listPage(flags);
  if (terminal.json) {
    await terminal.outJson(page);
    return exitCodes.ok;
  }
  if (page.items.length === 0) {
    terminal.note(flags.q === undefined ? 'no task yet' : `no task matches ${JSON.stringify(flags.q)}`);
    return exitCodes.ok;
  }
  await terminal.out(renderList(page.items, terminal));
  if (page.next !== null) {
    const filter = flags.q === undefined ? '' : ` --q ${JSON.stringify(flags.q)}`;
    terminal.hint(`daybook task list${filter} --limit ${flags.limit} --cursor ${page.next}`);
  }
  return exitCodes.ok;
}

/** Records the request to cancel or to retry; what becomes of it the history tells. */
export async function requestChange(
  terminal: Terminal,
  client: Client,
  change: 'cancel' | 'retry',
  id: string,
  reason: string,
): Promise<ExitCode> {
  const answer: RequestRecorded = await client[change](id, reason);
  if (terminal.json) await terminal.outJson(answer);
  else {
    const { topic, partition, offset } = answer.receipt;
    await terminal.out(`${change} requested  ${answer.id}  ${terminal.paint.dim(`${topic} ${partition}/${offset}`)}`);
  }
  terminal.hint(`daybook task events ${answer.id}`);
  return exitCodes.ok;
}

/** The payload as the command line gives it: JSON, `-` for stdin, `@file`; `{}` when it is left out. */
export async function readPayload(argument: string | undefined, terminal: Terminal): Promise<JsonValue> {
  const text = await payloadText(argument ?? '{}', terminal);
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new CommandError(exitCodes.usage, `the payload is not JSON: ${(error as Error).message}`, {
      next: `quote it for the shell, such as '{"path":"README.md"}', or give @FILE or - for stdin`,
      cause: error,
    });
  }
}

async function payloadText(argument: string, terminal: Terminal): Promise<string> {
  if (argument === '-') return readText(terminal.surroundings.stdin);
  if (!argument.startsWith('@')) return argument;
  try {
    return await readFile(argument.slice(1), 'utf8');
  } catch (error) {
    throw new CommandError(exitCodes.usage, `the payload cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function exitCodeOfTask(task: TaskView): ExitCode {
  return task.state === 'completed' ? exitCodes.ok : exitCodes.taskFailed;
}

async function showTask(terminal: Terminal, client: Client, task: TaskView): Promise<void> {
  const events: readonly EventItem[] = (await client.events(task.id)).items;
  await terminal.out(renderTask(task, events, terminal.paint, terminal.columns));
  if (task.state === 'failed' || task.state === 'cancelled') terminal.hint(`daybook task retry ${task.id} --reason "…"`);
}

function renderSubmitted(terminal: Terminal, task: SubmittedTask): string {
  const { bold, dim, green } = terminal.paint;
  const { topic, partition, offset, sha256, acceptedAt } = task.receipt;
  const facts = [
    [dim('receipt'), `${topic} ${partition}/${offset}  sha256 ${sha256}`],
    [dim('time'), formatInstant(acceptedAt)],
    [dim('key'), `${task.idempotencyKey}${task.replayed ? '  (known: this is the task that was accepted then)' : ''}`],
  ];
  const head = `${green('accepted')}  ${bold(oneLine(task.type))}  ${task.id}`;
  return `${head}\n${renderTable([{ title: '' }, { title: '' }], facts, { columns: null, indent: '  ' })}`;
}

function renderList(tasks: readonly TaskView[], terminal: Terminal): string {
  const { paint, columns } = terminal;
  const rows = tasks.map((task) => [
    task.id,
    oneLine(task.type ?? '-'),
    paintState(task.state, paint),
    `${task.attempt}/${task.maxAttempts}`,
    task.acceptedAt ? formatInstant(task.acceptedAt) : '-',
    tookOf(task) ?? '',
    task.error ? oneLine(`${task.error.name}: ${task.error.message}`) : '',
  ]);
  const titles = [
    { title: 'id' },
    { title: 'type' },
    { title: 'state' },
    { title: 'attempt', align: 'right' },
    { title: 'accepted (UTC)' },
    { title: 'took', align: 'right' },
    { title: tasks.some((task) => task.error) ? 'error' : '' },
  ] as const;
  return renderTable(titles, rows, { columns, title: paint.dim });
}

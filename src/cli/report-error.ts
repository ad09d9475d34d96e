import { DaybookProblem, WaitTimeout } from '../client/daybook-problem.ts';
import { CommandError, codeOf, exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { oneLine } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Says on stderr what went wrong and what to run next; a JSON object where the caller asked for JSON. */
export function reportError(error: unknown, terminal: Terminal): ExitCode {
  const exitCode = exitCodeOf(error);
  const message = messageOf(error);
  const details = detailsOf(error);
  const next = nextCommand(error);
  if (terminal.json) {
    const problem = error instanceof DaybookProblem ? problemMembers(error) : { code: codeOf(error) };
    terminal.note(JSON.stringify({ error: { message, exitCode, ...problem, next } }));
    return exitCode;
  }
  const { bold, red, dim } = terminal.notePaint;
  terminal.note(`${bold(red('error:'))} ${message}`);
  for (const detail of details) terminal.note(`  ${detail}`);
  if (next !== null) terminal.note(`${dim('next:')} ${next}`);
  return exitCode;
}

function messageOf(error: unknown): string {
  if (error instanceof DaybookProblem) return oneLine(error.status === 0 ? error.detail : `${error.detail.replace(/\.$/, '')} (${error.code})`);
  return error instanceof Error ? error.message : String(error);
}

function detailsOf(error: unknown): readonly string[] {
  if (!(error instanceof DaybookProblem)) return [];
  const width = Math.max(0, ...error.errors.map(({ pointer }) => pointer.length));
  return [
    ...error.errors.map(({ pointer, detail }) => oneLine(`${pointer.padEnd(width)}  ${detail}`)),
    ...(error.taskId === null ? [] : [`recorded as the rejected task ${error.taskId}`]),
    ...(error.requestId === null ? [] : [`request ${error.requestId}`]),
  ];
}

function nextCommand(error: unknown): string | null {
  if (error instanceof CommandError) return error.next;
  if (codeOf(error) === 'topic-lost') return 'daybook topic check';
  if (error instanceof WaitTimeout) return `daybook task wait ${error.taskId}`;
  if (!(error instanceof DaybookProblem)) return exitCodeOf(error) === exitCodes.configuration ? 'daybook doctor' : null;
  if (error.idempotencyKey !== null && error.unavailable) {
    return `the same command with --idempotency-key ${error.idempotencyKey} (safe: it cannot make a second task)`;
  }
  if (error.code === 'unreachable') return 'daybook start, or set DAYBOOK_URL to where it runs';
  if (error.status === 401 || error.status === 403) return 'set DAYBOOK_API_KEY, or give --api-key-file FILE';
  if (error.taskId !== null) return `daybook task get ${error.taskId}`;
  if (error.code === 'not-this-role') return 'set DAYBOOK_URL to the api and DAYBOOK_DIARY_URL to the diary';
  if (error.unavailable) return 'daybook doctor';
  if (error.status === 400) return 'the same command with --help';
  return error.status === 404 ? 'daybook task list' : null;
}

function problemMembers(problem: DaybookProblem): object {
  const { status, code, detail, errors, requestId, taskId, idempotencyKey } = problem;
  return { status, code, detail, errors, requestId, id: taskId, idempotencyKey };
}

import { DaybookProblem, WaitTimeout } from '../client/daybook-problem.ts';

/** What a script learns from a command; the same for every form of output. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  notAuthenticated: 4,
  conflict: 5,
  /** Nothing is wrong with the command; making it again is safe. */
  unavailable: 6,
  timedOut: 7,
  /** The task that was waited for failed, was cancelled or was rejected. */
  taskFailed: 8,
  auditFail: 9,
  auditInconclusive: 10,
  /** Wrong configuration, or the wrong topic. */
  configuration: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends a command with a message, an exit code and, where there is one, the command to run next. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;
  readonly next: string | null;

  constructor(exitCode: ExitCode, message: string, options: { readonly next?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    this.next = options.next ?? null;
  }
}

/** Codes of errors that come again at every start until somebody changes a setting or a task module. */
const configurationCodes: ReadonlySet<string> = new Set(['configuration-invalid', 'task-invalid', 'history-lost', 'topic-lost']);

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof WaitTimeout) return exitCodes.timedOut;
  if (error instanceof DaybookProblem) return exitCodeOfProblem(error);
  // The program's own modules come by dynamic import, so their errors are known by code, not by class.
  return configurationCodes.has(codeOf(error) ?? '') ? exitCodes.configuration : exitCodes.failure;
}

function exitCodeOfProblem(problem: DaybookProblem): ExitCode {
  if (problem.code === 'not-this-role' || problem.code === 'not-json') return exitCodes.configuration;
  if (problem.unavailable) return exitCodes.unavailable;
  if (problem.status === 409 || problem.code === 'idempotency-mismatch') return exitCodes.conflict;
  switch (problem.status) {
    case 400:
      return exitCodes.usage;
    case 401:
    case 403:
      return exitCodes.notAuthenticated;
    case 404:
      return exitCodes.notFound;
    default:
      return exitCodes.failure;
  }
}

export function codeOf(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : null;
}

/** Stable codes of the errors that Daybook raises itself; programs may test them. */
export type ErrorCode =
  | 'log-unavailable'
  | 'log-rejected'
  | 'queue-unavailable'
  | 'claims-unavailable'
  | 'projection-unavailable'
  | 'projection-rebuilding'
  | 'snapshot-unavailable'
  | 'folder-in-use'
  | 'stale-delivery'
  | 'history-lost'
  | 'topic-lost'
  | 'configuration-invalid'
  | 'task-invalid'
  | 'timed-out'
  | 'stopped';

/** An error with a stable code: the outside world failed, or a caller broke a rule. */
export class DaybookError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'DaybookError';
    this.code = code;
  }
}

export function hasCode(error: unknown, code: ErrorCode): error is DaybookError {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What is said about anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

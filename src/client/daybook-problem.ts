/** A broken rule: where (JSON pointer) and which. */
export interface ProblemViolation {
  readonly pointer: string;
  readonly detail: string;
}

export interface ProblemFields {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly ProblemViolation[] | undefined;
  readonly requestId?: string | undefined;
  readonly taskId?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call that the server refused or could not answer: the members of its problem document (RFC 9457). */
export class DaybookProblem extends Error {
  override readonly name = 'DaybookProblem';
  /** The HTTP status; 0 when no server answered. */
  readonly status: number;
  /** Stable, such as `payload-invalid`; `unreachable` when nobody answered, `no-answer` when none came in time. */
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly ProblemViolation[];
  readonly requestId: string | null;
  /** The id of the rejected task, where the refusal is recorded. */
  readonly taskId: string | null;
  /** The key of a submission that failed: sending it again with this key is safe. */
  readonly idempotencyKey: string | null;
  /** When the server asked to be called again. */
  readonly retryAfterMs: number | null;

  constructor(fields: ProblemFields) {
    super(fields.detail, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.status = fields.status;
    this.code = fields.code;
    this.detail = fields.detail;
    this.errors = fields.errors ?? [];
    this.requestId = fields.requestId ?? null;
    this.taskId = fields.taskId ?? null;
    this.idempotencyKey = fields.idempotencyKey ?? null;
    this.retryAfterMs = fields.retryAfterMs ?? null;
  }

  /** Nobody answered, or the answer was "not now": the same call may be made again. */
  get unavailable(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

/** The task had not ended when the time to wait was over. It goes on. */
export class WaitTimeout extends Error {
  override readonly name = 'WaitTimeout';
  readonly code = 'wait-timeout';
  readonly taskId: string;
  /** The state it was seen in last. */
  readonly state: string;

  constructor(taskId: string, state: string, timeoutMs: number) {
    super(`task ${taskId} was still ${state} after ${timeoutMs} ms`);
    this.taskId = taskId;
    this.state = state;
  }
}

/** The problem that an answer which is no success stands for; a body that is no problem document becomes one. */
export async function problemOf(response: Response, url: string): Promise<DaybookProblem> {
  const text = await response.text().catch(() => '');
  const body = parseObject(text);
  const title = textOf(body['title']) ?? response.statusText;
  return new DaybookProblem({
    status: response.status,
    code: textOf(body['code']) ?? `http-${response.status}`,
    detail: textOf(body['detail']) ?? (title === '' ? `${url} answered ${response.status}` : title),
    errors: Array.isArray(body['errors']) ? body['errors'].map(violationOf) : [],
    requestId: textOf(body['requestId']),
    taskId: textOf(body['id']),
    retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
  });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A proxy may answer with HTML: the status says enough then.
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function violationOf(value: unknown): ProblemViolation {
  const { pointer, detail, rule } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  return { pointer: String(pointer ?? ''), detail: String(detail ?? rule ?? 'is not valid') };
}

/** Seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

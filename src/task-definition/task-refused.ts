/** A submission that breaks a rule, and will never be taken as it is. */
export class TaskRefused extends Error {
  override readonly name = 'TaskRefused';
  /** As in the HTTP answer: `unknown-type`, `payload-invalid`, `options-invalid`, `idempotency-mismatch`, … */
  readonly code: string;
  /** The status of the HTTP answer. */
  readonly status: number;
  readonly errors: ReadonlyArray<{ readonly pointer: string; readonly detail: string }>;
  /** The id of the rejected task, where the rejection was recorded. */
  readonly id: string | null;

  constructor({ code, status, detail, errors, id }: Refused) {
    super([detail, ...errors.map((error) => `${error.pointer}: ${error.detail}`)].join('\n  '));
    this.code = code;
    this.status = status;
    this.errors = errors;
    this.id = id ?? null;
  }
}

interface Refused {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: ReadonlyArray<{ readonly pointer: string; readonly detail: string }>;
  readonly id?: string;
}

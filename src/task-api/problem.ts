import type { RequestError } from './task-request.ts';

/** A refusal as HTTP tells it (RFC 9457). The HTTP edge adds type and request id. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly RequestError[];
  /** The rejected task, where the rejection was recorded. */
  readonly id: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(content: {
    readonly status: number;
    readonly code: string;
    readonly title: string;
    readonly detail: string;
    readonly errors?: readonly RequestError[];
    readonly id?: string | undefined;
    readonly retryAfterSeconds?: number;
  }) {
    super(content.detail);
    this.status = content.status;
    this.code = content.code;
    this.title = content.title;
    this.detail = content.detail;
    this.errors = content.errors ?? [];
    this.id = content.id;
    this.retryAfterSeconds = content.retryAfterSeconds;
  }
}

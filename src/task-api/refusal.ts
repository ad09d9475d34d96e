import type { Violation } from '../domain/task-events.ts';
import { Problem } from './problem.ts';
import type { RequestError } from './task-request.ts';

export type RefusalCode =
  | 'invalid-request'
  | 'payload-too-large'
  | 'unknown-type'
  | 'payload-invalid'
  | 'options-invalid'
  | 'too-deep'
  | 'idempotency-mismatch';

const kinds = {
  'invalid-request': { status: 400, title: 'The request is not understood' },
  'payload-too-large': { status: 413, title: 'The payload is too large' },
  'unknown-type': { status: 404, title: 'No such type of task' },
  'payload-invalid': { status: 422, title: 'The payload does not fit its type' },
  'options-invalid': { status: 422, title: 'The options break a rule' },
  'too-deep': { status: 422, title: 'The request is nested too deeply' },
  'idempotency-mismatch': { status: 422, title: 'The Idempotency-Key names another request' },
} as const;

/** Why a submission was not taken. */
export interface Refusal {
  readonly type: 'refused';
  readonly code: RefusalCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** For the client: may speak of the values it sent. */
  readonly errors: readonly RequestError[];
  /** For the history: places and rules, never values. Null: this kind of refusal is never recorded. */
  readonly violations: readonly Violation[] | null;
  /** The id of the rejected task, where the rejection was recorded. */
  readonly id?: string;
}

/** The log did not confirm within its deadline: not known to be recorded. The same request is safe to send again. */
export interface Unavailable {
  readonly type: 'unavailable';
  readonly detail: string;
  readonly retryAfterSeconds: number;
}

export function refuse(
  code: RefusalCode,
  detail: string,
  errors: readonly RequestError[] = [],
  violations: readonly Violation[] | null = null,
): Refusal {
  return { type: 'refused', code, ...kinds[code], detail, errors, violations };
}

export function unavailable(): Unavailable {
  return {
    type: 'unavailable',
    detail: 'The log did not confirm the record in time: it is not known to be recorded. Sending the same request with the same Idempotency-Key is safe.',
    retryAfterSeconds: 1,
  };
}

export function problemOf(answer: Refusal | Unavailable): Problem {
  if (answer.type === 'refused') return new Problem(answer);
  const { detail, retryAfterSeconds } = answer;
  return new Problem({ status: 503, code: 'diary-unavailable', title: 'The log cannot record now', detail, retryAfterSeconds });
}

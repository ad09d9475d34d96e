import { z } from 'zod';
import type { Role } from '../config.ts';

export const problemContentType = 'application/problem+json; charset=utf-8';

/** The body of every refusal (RFC 9457). */
export const problemSchema = z.object({
  type: z.string().describe('Names the kind of problem: urn:daybook:problem:<code>'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().describe('Stable; programs may test it'),
  requestId: z.string().describe("Stands in the server's log"),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).describe('Where and what, as JSON pointers'),
  id: z.string().optional().describe('The rejected task, where the rejection is recorded'),
  role: z.string().optional().describe('The role that answers, for not-this-role'),
});

export type ProblemDocument = z.infer<typeof problemSchema>;

/** What a thrown value says about the answer, when it is shaped like a problem, wherever it comes from. */
export interface ProblemShape {
  readonly status: number;
  readonly code: string;
  readonly title?: string;
  readonly detail?: string;
  readonly message?: string;
  readonly errors?: ProblemDocument['errors'];
  readonly id?: string | undefined;
  readonly role?: string;
  readonly retryAfterSeconds?: number | undefined;
}

export function isProblemShape(thrown: unknown): thrown is ProblemShape {
  if (typeof thrown !== 'object' || thrown === null) return false;
  const { status, code } = thrown as { readonly status?: unknown; readonly code?: unknown };
  return typeof code === 'string' && Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599;
}

export function problemDocument(problem: ProblemShape, requestId: string): ProblemDocument {
  const { status, code, title = code, errors = [], id, role } = problem;
  return {
    type: `urn:daybook:problem:${code}`,
    title,
    status,
    detail: problem.detail ?? problem.message ?? title,
    code,
    requestId,
    errors,
    ...(id === undefined ? {} : { id }),
    ...(role === undefined ? {} : { role }),
  };
}

/** For a path that nothing here answers: not known at all, or known to another role. */
export function notFound(role: Role | null): ProblemShape {
  if (role === null) return { status: 404, code: 'not-found', title: 'Not found', detail: 'Nothing here answers this path and method.' };
  const detail = `The ${role} role answers this call; it does not run in this process.`;
  return { status: 404, code: 'not-this-role', title: 'Another role answers this', detail, role };
}

import type { PageKey } from '../../ports/projection-reader.ts';
import { QueryProblem } from '../query-problem.ts';

/** An opaque text for where a page ended. It holds the filter, so that it cannot continue the pages of another one. */
export function encodeCursor(filter: string, { acceptedMs, taskId }: PageKey): string {
  return Buffer.from(JSON.stringify([filter, acceptedMs, taskId])).toString('base64url');
}

/** @throws QueryProblem 400 `invalid-cursor` */
export function decodeCursor(cursor: string, filter: string): PageKey {
  const content = parse(cursor);
  if (!Array.isArray(content)) throw invalidCursor('is none that a list gave: take `next` of the former page as it is');
  const [boundTo, acceptedMs, taskId] = content as unknown[];
  if (typeof acceptedMs !== 'number' || typeof taskId !== 'string') throw invalidCursor('is none that a list gave: take `next` of the former page as it is');
  if (boundTo !== filter) throw invalidCursor('belongs to another filter: send the same `q` as for the former page');
  return { acceptedMs, taskId };
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
}

export function invalidCursor(rule: string): QueryProblem {
  const errors = [{ pointer: 'cursor', detail: rule }];
  return new QueryProblem({ status: 400, code: 'invalid-cursor', title: 'The cursor cannot be used', detail: `cursor ${rule}`, errors });
}

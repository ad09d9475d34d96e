import { parseInstant } from '../../domain/instant.ts';
import { invalidParameter } from '../query-problem.ts';
import { nearNames } from '../../domain/near-names.ts';
import { invalidCursor } from './page-cursor.ts';
import type { Moment } from './task-history.ts';

/** What the HTTP layer made of the query string. */
export type RawParameters = Readonly<Record<string, unknown>>;

export const longestWaitMs = 60_000;

export interface TaskParameters {
  /** How long to wait for a final state, at most 60,000 ms; 0, the default, does not wait. */
  readonly waitMs?: number;
  /** The task as it was then; the default is now. */
  readonly moment?: Moment;
}

export function taskParameters(raw: RawParameters): TaskParameters {
  const { asOf, wait } = takeParameters(raw, ['asOf', 'wait']);
  const waitMs = wholeNumber('wait', wait, { least: 0, most: longestWaitMs, otherwise: 0 });
  if (asOf === undefined) return { waitMs };
  if (waitMs > 0) throw invalidParameter('wait', 'cannot stand together with asOf: the past does not change');
  return { moment: momentOf(asOf) };
}

export interface EventsParameters {
  /** 1 to 1,000. */
  readonly limit: number;
  /** Events that former pages gave. */
  readonly skip: number;
}

export function eventsParameters(raw: RawParameters): EventsParameters {
  const { limit, cursor = '0' } = takeParameters(raw, ['limit', 'cursor']);
  if (!/^\d{1,9}$/.test(cursor)) throw invalidCursor('is none that this list gave: take `next` of the former page as it is');
  return { limit: wholeNumber('limit', limit, { least: 1, most: 1_000, otherwise: 1_000 }), skip: Number(cursor) };
}

export interface ListParameters {
  /** A filter, see `parseTaskFilter`; empty takes every task. */
  readonly q: string;
  readonly cursor: string | null;
  /** 1 to 1,000. */
  readonly limit: number;
}

export function listParameters(raw: RawParameters): ListParameters {
  const { q = '', cursor = null, limit } = takeParameters(raw, ['q', 'cursor', 'limit']);
  return { q, cursor, limit: wholeNumber('limit', limit, { least: 1, most: 1_000, otherwise: 50 }) };
}

export interface LogParameters {
  readonly partition: number;
  readonly offset: number;
  /** 1 to 1,000. */
  readonly limit: number;
}

export function logParameters(raw: RawParameters): LogParameters {
  const { partition, offset, limit } = takeParameters(raw, ['partition', 'offset', 'limit']);
  return {
    partition: wholeNumber('partition', partition, { least: 0, most: 9_999, otherwise: 0 }),
    offset: wholeNumber('offset', offset, { least: 0, most: Number.MAX_SAFE_INTEGER, otherwise: 0 }),
    limit: wholeNumber('limit', limit, { least: 1, most: 1_000, otherwise: 100 }),
  };
}

function momentOf(text: string): Moment {
  if (/^\d{1,9}$/.test(text)) return { events: Number(text) };
  const instantMs = parseInstant(text);
  if (instantMs !== null) return { instantMs };
  throw invalidParameter('asOf', "must be an instant such as '2026-01-31T09:00:00Z', or the number of the task's event, counted from 1");
}

/**
 * Takes exactly the named parameters, each at most once.
 * @throws QueryProblem 400 `invalid-parameter`: an unknown one, with a suggestion, or one that stands twice
 */
export function takeParameters<const Name extends string>(raw: RawParameters, names: readonly Name[]): { readonly [Key in Name]?: string } {
  for (const [name, value] of Object.entries(raw)) {
    if (!(names as readonly string[]).includes(name)) {
      const near = nearNames(name, names)[0];
      throw invalidParameter(name, `is not known here: ${near ? `did you mean '${near}'?` : names.length > 0 ? `known are ${names.join(', ')}` : 'this call takes none'}`);
    }
    if (typeof value !== 'string') throw invalidParameter(name, 'must stand once');
  }
  return raw as { readonly [Key in Name]?: string };
}

/** @throws QueryProblem 400 `invalid-parameter` */
function wholeNumber(name: string, text: string | undefined, range: { readonly least: number; readonly most: number; readonly otherwise: number }): number {
  if (text === undefined) return range.otherwise;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.least && value <= range.most) return value;
  throw invalidParameter(name, `must be a whole number from ${range.least} to ${range.most}`);
}

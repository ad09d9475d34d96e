import { durationMs } from '../../domain/duration.ts';
import { parseInstant } from '../../domain/instant.ts';
import type { TaskPhase } from '../../domain/task-state.ts';
import type { TaskFilter } from '../../ports/projection-reader.ts';
import { QueryProblem } from '../query-problem.ts';
import { nearNames } from '../../domain/near-names.ts';

const phases: readonly TaskPhase[] = ['accepted', 'dispatched', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'rejected'];
const qualifiers = ['state', 'type', 'worker', 'error', 'batch', 'tag.NAME', 'since', 'age', 'attempts'] as const;
const longestFilter = 1_000;
/** Of what was sent, in an error. */
const longestEcho = 80;

type Mutable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };

/**
 * Reads the filter of a list: words of the form `qualifier:value`, all of which must hold. A value with spaces stands
 * in double quotes. `error:` takes the fingerprint of an error, or its beginning; the error's code; or its name.
 *
 *     state:failed,retrying type:invoice.* worker:w-7 error:3fa9 batch:b1 tag.tenant:acme since:1h age:>10m attempts:>3
 *
 * @param nowMs the moment from which `since:` and `age:` count back
 * @throws QueryProblem 400 `invalid-filter`, which names the word, the rule, and the nearest qualifier
 */
export function parseTaskFilter(text: string, nowMs: number): TaskFilter {
  if (text.length > longestFilter) throw invalidFilter('', `must be at most ${longestFilter} characters long`);
  const filter: Mutable<TaskFilter> = {};
  const seen = new Set<string>();
  for (const { qualifier, value } of wordsOf(text)) {
    if (seen.has(qualifier)) throw invalidFilter(qualifier, 'must stand once');
    if (value === '') throw invalidFilter(qualifier, 'must have a value');
    seen.add(qualifier);
    Object.assign(filter, conditionOf(qualifier, value, nowMs, filter));
  }
  return filter;
}

function wordsOf(text: string): Array<{ readonly qualifier: string; readonly value: string }> {
  const words = text.match(/(?:[^\s"]|"[^"]*")+|"/g) ?? [];
  return words.map((word) => {
    const colon = word.indexOf(':');
    if (colon < 1) throw invalidFilter(word, `must have the form qualifier:value; qualifiers are ${qualifiers.join(', ')}`);
    const value = word.slice(colon + 1);
    if ((value.match(/"/g)?.length ?? 0) % 2 === 1) throw invalidFilter(word.slice(0, colon), 'must close its double quote');
    return { qualifier: word.slice(0, colon), value: value.replaceAll('"', '') };
  });
}

function conditionOf(qualifier: string, value: string, nowMs: number, { tags = {} }: TaskFilter): Partial<TaskFilter> {
  switch (qualifier) {
    case 'state':
      return { phases: phasesOf(value) };
    case 'type':
      return { type: value };
    case 'worker':
      return { worker: value };
    case 'error':
      return { error: value };
    case 'batch':
      return { batch: value };
    case 'since':
      return { acceptedFromMs: sinceOf(value, nowMs) };
    case 'age':
      return ageOf(value, nowMs);
    case 'attempts':
      return attemptsOf(value);
    default:
      if (/^tag\../.test(qualifier)) return { tags: { ...tags, [qualifier.slice('tag.'.length)]: value } };
      throw unknownQualifier(qualifier);
  }
}

function phasesOf(value: string): TaskPhase[] {
  return value.split(',').map((word) => {
    const phase = phases.find((known) => known === word);
    if (phase) return phase;
    const near = nearNames(word, phases)[0];
    const states = phases.join(', ');
    const hint = near ? `did you mean '${near}'? States are ${states}` : `states are ${states}`;
    throw invalidFilter('state', `has no '${word.slice(0, longestEcho)}': ${hint}`);
  });
}

function sinceOf(value: string, nowMs: number): number {
  const agoMs = durationMs(value);
  const fromMs = agoMs === null ? parseInstant(value) : nowMs - agoMs;
  if (fromMs === null) throw invalidFilter('since', "must be a duration such as '1h' or an instant such as '2026-01-31T09:00:00Z'");
  return fromMs;
}

/** Older than, or with `<` younger than, a duration. */
function ageOf(value: string, nowMs: number): Partial<TaskFilter> {
  const { sign, rest } = comparisonOf(value);
  const olderMs = durationMs(rest);
  if (olderMs === null || sign === null) throw invalidFilter('age', "must be '>' or '<' and a duration, such as '>10m'");
  return sign === '>' ? { acceptedBeforeMs: nowMs - olderMs } : { acceptedFromMs: nowMs - olderMs };
}

function attemptsOf(value: string): Partial<TaskFilter> {
  const { sign, rest } = comparisonOf(value);
  if (sign === null || !/^\d{1,9}$/.test(rest)) throw invalidFilter('attempts', "must be '>' or '<' and a whole number, such as '>3'");
  return sign === '>' ? { attemptsAbove: Number(rest) } : { attemptsBelow: Number(rest) };
}

function comparisonOf(value: string): { readonly sign: '>' | '<' | null; readonly rest: string } {
  const first = value[0];
  return first === '>' || first === '<' ? { sign: first, rest: value.slice(1) } : { sign: null, rest: value };
}

function unknownQualifier(qualifier: string): QueryProblem {
  const beforeDot = (name: string) => name.split('.', 1)[0] ?? '';
  const near = nearNames(beforeDot(qualifier), qualifiers.map(beforeDot))[0];
  const meant = qualifiers.find((known) => beforeDot(known) === near);
  return invalidFilter(qualifier, meant ? `is no qualifier: did you mean '${meant}'?` : `is no qualifier; qualifiers are ${qualifiers.join(', ')}`);
}

function invalidFilter(word: string, rule: string): QueryProblem {
  const sentence = `${word === '' ? 'The filter' : `'${word.slice(0, longestEcho)}'`} ${rule}`;
  const detail = sentence.endsWith('?') ? sentence : `${sentence}.`;
  return new QueryProblem({ status: 400, code: 'invalid-filter', title: 'The filter is not understood', detail, errors: [{ pointer: 'q', detail }] });
}

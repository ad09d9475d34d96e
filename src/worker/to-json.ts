import { findJsonProblem, type JsonValue } from '../domain/json.ts';

/** A value as JSON writes it, and its size in bytes of UTF-8; or the rule that it breaks. */
export type JsonConversion = { readonly json: JsonValue; readonly bytes: number } | { readonly problem: string };

/**
 * Turns what a handler gave into JSON as `JSON.stringify` does (dates become text, undefined members are left out),
 * but refuses what would be lost on the way: functions, infinite numbers, broken text. Nothing at all becomes null.
 * Never throws.
 *
 * @param maxDepth the most levels of objects and lists
 */
export function toJson(value: unknown, maxDepth: number): JsonConversion {
  if (value === undefined || value === null) return { json: null, bytes: 4 };
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) return { problem: `must be a JSON value, not a ${typeof value}` };
    // JSON writes NaN and the infinities as null; only where a null stands is it worth looking for them.
    if (text.includes('null')) JSON.stringify(value, refuseInfinite);
    const json = JSON.parse(text) as JsonValue;
    const problem = findJsonProblem(json, maxDepth);
    if (problem) {
      const limit = problem.rule === 'depth' ? `: at most ${maxDepth} levels` : '';
      return { problem: `${problem.pointer === '' ? 'it' : problem.pointer} ${problem.detail}${limit}` };
    }
    return { json, bytes: Buffer.byteLength(text) };
  } catch (error) {
    if (error instanceof InfiniteNumber) return { problem: 'every number must be finite' };
    return { problem: 'must be a JSON value: no cycles, no bigint, not nested too deeply' };
  }
}

class InfiniteNumber extends Error {}

function refuseInfinite(_name: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new InfiniteNumber();
  return value;
}

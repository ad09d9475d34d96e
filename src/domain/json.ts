/** A value that JSON can hold. `undefined` members are not part of it: `canonicalJson` leaves them out. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: JsonValue | undefined;
}

/**
 * Canonical JSON in the manner of RFC 8785: members sorted by UTF-16 code units, no spaces, numbers and strings
 * as ECMAScript writes them. One value always gives one text, whoever writes it, so digests and event ids hold.
 */
export function canonicalJson(value: JsonValue): string {
  // Nothing written here is as fast as `JSON.stringify`, and every event passes.
  const sorted = sortedCopy(value);
  return sorted === undefined ? written(value) : JSON.stringify(sorted);
}

/** An equal value whose objects give their members in canonical order; undefined where an object cannot do that. */
function sortedCopy(value: JsonValue): JsonValue | undefined {
  if (value === null || typeof value !== 'object') return value;
  if (isArray(value)) {
    const elements = value.map(sortedCopy);
    return elements.includes(undefined) ? undefined : (elements as JsonValue[]);
  }
  const copy: Record<string, JsonValue> = {};
  for (const name of sortedNames(value)) {
    const member = value[name];
    if (member === undefined) continue;
    const sorted = sortedCopy(member);
    if (sorted === undefined || hasPlaceOfItsOwn(name)) return undefined;
    copy[name] = sorted;
  }
  return copy;
}

/** Objects put names that are numbers first, whenever they are set, and take this one name for their prototype. */
function hasPlaceOfItsOwn(name: string): boolean {
  return name.charCodeAt(0) <= 0x39 || name === '__proto__';
}

/** Few names, as most objects have, are put in their places in half the time that `sort` takes. */
function sortedNames(value: JsonObject): string[] {
  const names = Object.keys(value);
  if (names.length > 16) return names.sort();
  for (const [index, name] of names.entries()) {
    let place = index;
    for (; place > 0 && (names[place - 1] as string) > name; place--) names[place] = names[place - 1] as string;
    names[place] = name;
  }
  return names;
}

/** The same text for any value, member by member. */
function written(value: JsonValue): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(written).join(',')}]`;
  let text = '';
  for (const name of sortedNames(value)) {
    const member = value[name];
    if (member === undefined) continue;
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${written(member)}`;
  }
  return `{${text}}`;
}

export interface JsonProblem {
  /** JSON pointer (RFC 6901) to the offending place. */
  readonly pointer: string;
  readonly rule: 'depth' | 'number' | 'member-name' | 'text';
  readonly detail: string;
}

/** Names that would change an object's prototype where careless code copies members. */
const forbiddenNames = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Finds the first place where a parsed JSON value would not survive being written and read again, or would harm
 * its readers: nesting deeper than `maxDepth` levels, a number that is not finite, a lone surrogate, a member
 * name that reaches a prototype. Returns null when the value is sound.
 */
export function findJsonProblem(value: JsonValue, maxDepth: number): JsonProblem | null {
  return inspect(value, '', maxDepth);
}

function inspect(value: JsonValue, pointer: string, levelsLeft: number): JsonProblem | null {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return { pointer, rule: 'number', detail: 'must be a finite number' };
  }
  if (typeof value === 'string') return isWellFormed(value) ? null : loneSurrogate(pointer);
  if (value === null || typeof value !== 'object') return null;
  if (levelsLeft === 0) return { pointer, rule: 'depth', detail: 'is nested too deeply' };
  if (isArray(value)) {
    for (const [index, element] of value.entries()) {
      const problem = inspect(element, `${pointer}/${index}`, levelsLeft - 1);
      if (problem) return problem;
    }
    return null;
  }
  for (const name of Object.keys(value)) {
    const at = `${pointer}/${pointerToken(name)}`;
    if (forbiddenNames.has(name)) return { pointer: at, rule: 'member-name', detail: `must not be named ${name}` };
    if (!isWellFormed(name)) return loneSurrogate(at);
    const problem = inspect(value[name] ?? null, at, levelsLeft - 1);
    if (problem) return problem;
  }
  return null;
}

/** Escapes one reference token of a JSON pointer (RFC 6901, section 3). */
export function pointerToken(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function loneSurrogate(pointer: string): JsonProblem {
  return { pointer, rule: 'text', detail: 'must be well-formed Unicode (it holds a lone surrogate)' };
}

/** Whether every surrogate is paired: text that UTF-8 can carry unchanged. */
function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

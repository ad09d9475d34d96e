import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonValues } from '../../test/support/arbitrary-events.ts';
import { canonicalJson, findJsonProblem, isJsonObject, pointerToken, type JsonValue } from './json.ts';

const runs = { numRuns: 1_000 };
const slow = { timeout: 60_000 };

describe('canonical JSON', slow, () => {
  it.each<readonly [string, JsonValue, string]>([
    ['sorts members by UTF-16 code units', { b: 1, a: 2, '\u20ac': 3, '1': 4, '\ud83d\ude00': 5, '\ufb33': 6 }, '{"1":4,"a":2,"b":1,"€":3,"😀":5,"\ufb33":6}'],
    ['keeps the order of lists', [3, 1, 2], '[3,1,2]'],
    ['leaves out what is undefined', { a: undefined, b: null }, '{"b":null}'],
    ['writes numbers as ECMAScript does', [1e21, 0.000001, 1e-7, -0, 333333333.33333329], '[1e+21,0.000001,1e-7,0,333333333.3333333]'],
    ['escapes as ECMAScript does', '\u0000\n"\\/\u2028', '"\\u0000\\n\\"\\\\/\u2028"'],
    ['keeps a lone surrogate as its escape', '\ud800', '"\\ud800"'],
    ['writes empty things', [{}, []], '[{},[]]'],
    ['keeps a member named __proto__', JSON.parse('{"__proto__":1,"a":2}') as JsonValue, '{"__proto__":1,"a":2}'],
  ])('%s', (_name, value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it.each([
    ['numbers', ['10', '9', '-1', '/', ':', 'a', '01']],
    ['numbers and the name of the prototype', ['b', '__proto__', '__prot', '2', '10']],
    ['more names than are sorted by hand', Array.from({ length: 40 }, (_, index) => `n${(index * 7) % 40}`)],
  ])('sorts names that are %s', (_name, names) => {
    const value = { list: [JSON.parse(`{${names.map((name) => `"${name}":{}`).join(',')}}`) as JsonValue] };
    expect(canonicalJson(value)).toBe(`{"list":[{${names.toSorted().map((name) => `"${name}":{}`).join(',')}}]}`);
  });

  it('writes every text as ECMAScript does', () => {
    for (let unit = 0; unit <= 0xffff; unit++) {
      const text = `a${String.fromCharCode(unit)}b`;
      if (canonicalJson({ [text]: text }) !== JSON.stringify({ [text]: text })) expect.fail(`code unit ${unit}`);
    }
  });

  it('reads back as the same value', () => {
    fc.assert(fc.property(jsonValues, (value) => isDeepStrictEqual(JSON.parse(canonicalJson(value)), value)), runs);
  });

  it('does not depend on the order of members', () => {
    fc.assert(fc.property(jsonValues, (value) => canonicalJson(reversed(value)) === canonicalJson(value)), runs);
  });

  it('tells different values apart', () => {
    fc.assert(
      fc.property(jsonValues, jsonValues, (one, other) => {
        const same = JSON.stringify(ordered(one)) === JSON.stringify(ordered(other));
        expect(canonicalJson(one) === canonicalJson(other)).toBe(same);
      }),
      runs,
    );
  });
});

describe('findJsonProblem', slow, () => {
  it.each<readonly [string, JsonValue, number, object | null]>([
    ['a scalar', 1, 0, null],
    ['nesting as deep as allowed', { a: [1] }, 2, null],
    ['nesting one level deeper', { a: [[1]] }, 2, { pointer: '/a/0', rule: 'depth' }],
    ['an infinite number', { a: [0, Infinity] }, 9, { pointer: '/a/1', rule: 'number' }],
    ['no number', NaN, 9, { pointer: '', rule: 'number' }],
    ['a lone high surrogate', { a: 'x\ud800' }, 9, { pointer: '/a', rule: 'text' }],
    ['a lone low surrogate', ['\udc00'], 9, { pointer: '/0', rule: 'text' }],
    ['a pair', '\ud83d\ude00', 9, null],
    ['a lone surrogate in a name', { '\ud800': 1 }, 9, { rule: 'text' }],
    ['a name that reaches the prototype', JSON.parse('{"a":{"__proto__":1}}') as JsonValue, 9, { pointer: '/a/__proto__', rule: 'member-name' }],
    ['a name that reaches the constructor', { constructor: 1 } as unknown as JsonValue, 9, { pointer: '/constructor', rule: 'member-name' }],
    ['a name to be escaped', { 'a/b~c': NaN }, 9, { pointer: '/a~1b~0c', rule: 'number' }],
  ])('%s', (_name, value, maxDepth, problem) => {
    const found = findJsonProblem(value, maxDepth);
    if (problem === null) expect(found).toBeNull();
    else expect(found).toMatchObject(problem);
  });

  it('finds none in what JSON.parse gave, apart from names, surrogates and depth', () => {
    fc.assert(
      fc.property(jsonValues, (value) => {
        const problem = findJsonProblem(value, 32);
        expect(problem === null || problem.rule === 'member-name' || problem.rule === 'text').toBe(true);
      }),
      runs,
    );
  });
});

it('escapes the tokens of JSON pointers', () => expect(pointerToken('a/b~1')).toBe('a~1b~01'));

it.each([
  [{}, true],
  [[], false],
  [null, false],
  ['', false],
])('knows objects: %j', (value, expected) => expect(isJsonObject(value)).toBe(expected));

/** The same value with every object's members in reverse order. */
function reversed(value: JsonValue): JsonValue {
  return rebuilt(value, (members) => members.reverse());
}

function ordered(value: JsonValue): JsonValue {
  return rebuilt(value, (members) => members.sort(([one], [other]) => (one < other ? -1 : 1)));
}

function rebuilt(value: JsonValue, arrange: (members: Array<[string, JsonValue]>) => Array<[string, JsonValue]>): JsonValue {
  if (Array.isArray(value)) return value.map((element: JsonValue) => rebuilt(element, arrange));
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(([name, member]): [string, JsonValue] => [name, rebuilt(member ?? null, arrange)]);
  return Object.fromEntries(arrange(members));
}

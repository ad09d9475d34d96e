import fc from 'fast-check';
import { expect, it } from 'vitest';
import { findLostInParsing } from './json-text.ts';

const found = (text: string) => findLostInParsing(text, JSON.parse(text));

it.each([
  ['{"a":1,"b":2,"a":3}', '/a'],
  ['{"list":[0,{"x":{"k/1":1,"k/1":1}}]}', '/list/1/x/k~11'],
  ['{"a":1,"\\u0061":2}', '/a'],
  ['{"a":9007199254740993}', '/a'],
  ['[1,-9007199254740993]', '/1'],
  ['{"a":{"b":1e999}}', '/a/b'],
  ['[-1e999]', '/0'],
  ['[1e-999]', '/0'],
  ['[18446744073709551616]', '/0'],
  ['[0.1234567890123456789]', '/0'],
  ['[9007199254740993.0]', '/0'],
])('finds in %s what would be lost', (text, pointer) => {
  expect(found(text)?.pointer).toBe(pointer);
});

it.each([
  '{"a":{"a":1},"b":[{"a":1},{"a":1}]}',
  '{"a":"b:c{}[],\\"d\\":\\\\","b":"\\\\"}',
  '{"9007199254740993":"9007199254740993 1e999"}',
  '"4e99901a-1111-4000-8000-000000000000"',
  '[9007199254740991,-9007199254740991,9007199254740992,10000000000000000000000,1e300,1e-300,0.10000000000000001,0.30000000000000004,1.0,100e-2,0,-0,0.0,0e999]',
  '[]',
  'null',
])('leaves %s alone', (text) => {
  expect(found(text)).toBeNull();
});

it('leaves every text alone that JSON.stringify wrote', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.nat(2), (value, indent) => found(JSON.stringify(value, null, indent)) === null));
});

it('finds every repeated member, wherever it stands', () => {
  const name = fc.string({ maxLength: 3 });
  fc.assert(
    fc.property(name, fc.jsonValue({ maxDepth: 2 }), fc.jsonValue({ maxDepth: 2 }), (repeated, one, other) => {
      const member = JSON.stringify(repeated);
      return found(`[${JSON.stringify(one)},{${member}:${JSON.stringify(one)},${member}:${JSON.stringify(other)}}]`) !== null;
    }),
  );
});

it('reads a hundred thousand levels and a megabyte of escapes', () => {
  expect(found(`${'[{"a":'.repeat(100_000)}1e999${'}]'.repeat(100_000)}`)?.pointer).toMatch(/^\/0\/a\/0/);
  expect(found(`["${'\\n'.repeat(500_000)}",1e999]`)?.pointer).toBe('/1');
});

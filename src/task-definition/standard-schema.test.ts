import { expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { issuePointer, type StandardSchema } from './standard-schema.ts';

const schema = z.object({ list: z.array(z.object({ 'a/b~c': z.number() })), size: z.string().transform(Number) });

it('is what a zod schema is, with both of its types', () => {
  expectTypeOf(schema).toExtend<StandardSchema<{ list: Array<{ 'a/b~c': number }>; size: string }, { list: Array<{ 'a/b~c': number }>; size: number }>>();
});

it('parses', async () => {
  expect(await schema['~standard'].validate({ list: [], size: '5' })).toEqual({ value: { list: [], size: 5 } });
});

it('gives the place of an issue as a JSON pointer', async () => {
  const result = await schema['~standard'].validate({ list: [{ 'a/b~c': 'x' }], size: '5' });
  expect(result.issues?.map((issue) => issuePointer(issue, '/payload'))).toEqual(['/payload/list/0/a~1b~0c']);
});

it.each([
  ['no path', { message: 'm' }, ''],
  ['an empty path', { message: 'm', path: [] }, ''],
  ['keys as objects', { message: 'm', path: [{ key: 'a' }, { key: 0 }, 'b'] }, '/a/0/b'],
] as const)('points with %s', (_name, issue, pointer) => expect(issuePointer(issue)).toBe(pointer));

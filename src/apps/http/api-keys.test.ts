import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { callerOf, parseApiKeys } from './api-keys.ts';

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex');

it('reads names and hashes, with comments and blank lines', () => {
  const { keys, errors } = parseApiKeys(`# clients\nshop:${hashOf('a')}\r\n\nops:${hashOf('b').toUpperCase()}\n`);
  expect(errors).toEqual([]);
  expect([callerOf(keys, 'a'), callerOf(keys, 'b'), callerOf(keys, 'c'), callerOf(keys, null)]).toEqual(['shop', 'ops', null, null]);
});

it('names each wrong line, and never its content', () => {
  expect(parseApiKeys(`shop:${hashOf('a')}\nplain:my-secret-key\n:${hashOf('b')}`).errors).toEqual([
    'line 2 must be name:sha256, the hash as 64 hex digits',
    'line 3 must be name:sha256, the hash as 64 hex digits',
  ]);
});

it('refuses a file without a key', () => {
  expect(parseApiKeys('# none\n').errors).toEqual(['holds no key, so nobody could call']);
});

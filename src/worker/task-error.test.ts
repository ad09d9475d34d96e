import { expect, it } from 'vitest';
import { describeThrown } from './task-error.ts';

it('describes whatever is thrown, and never throws itself', () => {
  const hostile = new Proxy({}, {
    get: () => {
      throw new Error('no');
    },
  });
  const throwing = Object.defineProperty(new Error('x'), 'message', {
    get: () => {
      throw new Error('no');
    },
  });
  const described = [hostile, throwing, null, undefined, '', 'text', 7, 7n, Symbol('s'), Object.freeze({}), () => 0, { message: 12 }].map(describeThrown);
  for (const error of described) {
    expect(error).toMatchObject({ retryable: true, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(error.message).not.toBe('');
    expect(() => JSON.stringify(error)).not.toThrow();
  }
  expect(describeThrown('text')).toMatchObject({ name: 'NonError', message: 'the handler threw text' });
});

it('keeps name, message, code and stack within their bounds, as well-formed text', () => {
  const error = Object.assign(new Error(`${'x'.repeat(1_999)}😀`), { name: 'n'.repeat(500), code: 'c'.repeat(500), stack: 'ä'.repeat(5_000) });
  const described = describeThrown(error);
  expect(described.message).toBe(`${'x'.repeat(1_999)}\ufffd`);
  expect(described.name).toHaveLength(128);
  expect(described.code).toHaveLength(128);
  expect(Buffer.byteLength(described.stack ?? '')).toBe(4_096);
});

it('takes a delay only from RetryAfter, and only a sound one', () => {
  expect(describeThrown({ name: 'RetryAfter', retryAfterMs: 5 })).toMatchObject({ retryAfterMs: 5 });
  for (const retryAfterMs of [-1, Number.NaN, Infinity, '5']) expect(describeThrown({ name: 'RetryAfter', retryAfterMs })).not.toHaveProperty('retryAfterMs');
  expect(describeThrown({ name: 'Error', retryAfterMs: 5 })).not.toHaveProperty('retryAfterMs');
});

import { expect, it } from 'vitest';
import { PermanentFailure, RetryAfter, TransactionsUnavailable } from './failures.ts';

it('PermanentFailure carries its name, a code and a cause', () => {
  const cause = new Error('404');
  expect(new PermanentFailure('gone', { code: 'not-found', cause })).toMatchObject({ name: 'PermanentFailure', message: 'gone', code: 'not-found', cause });
  expect(new PermanentFailure('gone')).toMatchObject({ code: null });
  expect('cause' in new PermanentFailure('gone')).toBe(false);
});

it.each([
  [1_500, 1_500],
  ['2s', 2_000],
  [0, 0],
])('RetryAfter takes %j', (delay, retryAfterMs) => {
  expect(new RetryAfter(delay)).toMatchObject({ name: 'RetryAfter', retryAfterMs, message: 'the handler asked to be retried later' });
});

it('RetryAfter keeps the message of the handler', () => expect(new RetryAfter(1, 'rate limited').message).toBe('rate limited'));

it.each(['soon', -1, NaN, Infinity, `${'9'.repeat(400)}d`])('RetryAfter refuses %j, which is no duration', (delay) => {
  expect(() => new RetryAfter(delay)).toThrow("is no duration; use milliseconds or '2s'");
});

it('TransactionsUnavailable has a stable code', () => {
  expect(new TransactionsUnavailable('claims are off')).toMatchObject({ name: 'TransactionsUnavailable', code: 'transactions-unavailable' });
});

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonValues } from '../../test/support/arbitrary-events.ts';
import { acceptTask, optionNames, parseRetry, requestDigest, typeNamePattern, type AcceptanceContext, type TaskDefaults, type TaskRequest } from './acceptance.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { defaultRetryPolicy } from './retry-schedule.ts';

const sha256Hex = (text: string) => createHash('sha256').update(text).digest('hex');
const defaults: TaskDefaults = { queue: 'default', priority: 0, retry: defaultRetryPolicy, timeoutMs: 30_000 };
const context: AcceptanceContext = { submitter: 'ada', queues: new Set(['default', 'heavy']) };
const request: TaskRequest = { type: 'email.welcome', payload: { to: 'ada@example.org' } };
const parentId = '01941f29-7c00-7000-8000-000000000001';

describe('an accepted task', () => {
  it('has the effective policy and timeout, so that the log alone tells them', () => {
    expect(accept({})).toEqual({
      data: {
        payload: request.payload,
        options: {},
        retry: defaultRetryPolicy,
        timeoutMs: 30_000,
        submitter: 'ada',
        requestDigest: requestDigest({ ...request, options: {} }, sha256Hex),
      },
    });
  });

  it("takes the definition's queue and priority where the request is silent", () => {
    const result = acceptTask(request, { ...defaults, queue: 'heavy', priority: 4 }, context, sha256Hex);
    expect(result).toMatchObject({ data: { options: { queue: 'heavy', priority: 4 } } });
  });

  it('leaves out queue and priority where they are the default ones', () => {
    expect(accept({ queue: 'default', priority: 0 })).toMatchObject({ data: { options: {} } });
    expect(dataOf({ queue: 'default', priority: 0 }).options).toEqual({});
  });

  it.each<readonly [string, JsonObject, object]>([
    ['queue', { queue: 'heavy' }, { queue: 'heavy' }],
    ['the highest priority', { priority: 9 }, { priority: 9 }],
    ['notBefore as an instant', { notBefore: '2026-12-24T18:00:00+01:00' }, { notBeforeMs: Date.UTC(2026, 11, 24, 17) }],
    ['notBefore as a delay, which stays one', { notBefore: '10s' }, { delayMs: 10_000 }],
    ['notBefore as milliseconds', { notBefore: 250 }, { delayMs: 250 }],
    ['expiresAt as an instant', { expiresAt: '2026-12-24T18:00:00Z' }, { expiresAtMs: Date.UTC(2026, 11, 24, 18) }],
    ['expiresAt as a delay, which stays one', { expiresAt: '1h' }, { expiresInMs: 3_600_000 }],
    ['the longest delay', { notBefore: '3650d' }, { delayMs: 3_650 * 86_400_000 }],
  ])('takes %s', (_name, options, expected) => {
    expect(dataOf(options).options).toEqual(expected);
  });

  it.each<readonly [string, JsonObject, object]>([
    ['a batch', { batch: 'import-2026' }, { batch: 'import-2026' }],
    ['a parent', { parent: parentId }, { parent: parentId }],
    ['tags', { tags: { customer: '4711' } }, { tags: { customer: '4711' } }],
    ['the tenant default, which is nothing to record', { tenant: 'default' }, {}],
    ['a part of a retry policy', { retry: { maxAttempts: 7 } }, { retry: { ...defaultRetryPolicy, maxAttempts: 7 } }],
    [
      'a whole retry policy',
      { retry: { maxAttempts: 1, backoff: 'fixed', base: '2s', max: 5_000 } },
      { retry: { maxAttempts: 1, backoff: 'fixed', baseMs: 2_000, maxMs: 5_000 } },
    ],
    ['a retry policy as it stands in records', { retry: { baseMs: 2_000, maxMs: 5_000 } }, { retry: { ...defaultRetryPolicy, baseMs: 2_000, maxMs: 5_000 } }],
  ])('takes %s', (_name, options, expected) => {
    expect(dataOf(options)).toMatchObject(expected);
  });

  it('has the batch, parent and key that the caller knows', () => {
    const known = { ...context, batch: 'b', parent: parentId, idempotencyKeyDigest: 'd' };
    expect(acceptTask(request, defaults, known, sha256Hex)).toMatchObject({ data: { batch: 'b', parent: parentId, idempotencyKeyDigest: 'd' } });
  });
});

describe('a broken option is named with its rule, never ignored', () => {
  const instantRule = "must be an RFC 3339 instant with a time zone, or a delay such as '10s' (at most 3650d)";
  const priorityRule = 'must be a whole number from 0 to 9 (9 goes first)';
  const tagsRule = 'must be an object of at most 20 texts: names of 1 to 64 letters, digits or . _ -, values up to 256 characters';
  const attemptsRule = 'maxAttempts must be a whole number from 1 to 1000';
  const delaysRule = "base and max must be delays such as '1s', at most 30d";
  const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`t${index}`, '']));

  it.each<readonly [string, JsonValue, string]>([
    ['queue', 'unknown', 'must be one of the known queues: default, heavy'],
    ['queue', '-', 'must be 1 to 128 letters, digits or . _ : -'],
    ['queue', 5, 'must be 1 to 128 letters, digits or . _ : -'],
    ['queue', null, 'must be 1 to 128 letters, digits or . _ : -'],
    ['priority', 10, priorityRule],
    ['priority', -1, priorityRule],
    ['priority', 1.5, priorityRule],
    ['priority', '1', priorityRule],
    ['priority', null, priorityRule],
    ['notBefore', 'tomorrow', instantRule],
    ['notBefore', '2026-12-24T18:00:00', instantRule],
    ['notBefore', '2026-02-30T18:00:00Z', instantRule],
    ['notBefore', '3651d', instantRule],
    ['notBefore', -1, instantRule],
    ['notBefore', true, instantRule],
    ['notBefore', null, instantRule],
    ['expiresAt', {}, instantRule],
    ['concurrencyKey', 'customer-1', 'is not built yet: leave it out'],
    ['tenant', 'acme', "must be 'default': tenants are not built yet"],
    ['tenant', null, "must be 'default': tenants are not built yet"],
    ['retry', 3, 'must be an object'],
    ['retry', { maxAttempts: 0 }, attemptsRule],
    ['retry', { maxAttempts: 1_001 }, attemptsRule],
    ['retry', { maxAttempts: null }, attemptsRule],
    ['retry', { backoff: 'linear' }, "backoff must be 'exponential' or 'fixed'"],
    ['retry', { base: 'soon' }, delaysRule],
    ['retry', { base: null }, delaysRule],
    ['retry', { max: '31d' }, delaysRule],
    ['retry', { base: '1s', baseMs: 1_000 }, 'base and baseMs mean the same: give one of them'],
    ['retry', { attempts: 3 }, "has an unknown member 'attempts': known are maxAttempts, backoff, base, max"],
    ['batch', 'a b', 'must be 1 to 128 letters, digits or . _ : -'],
    ['batch', '', 'must be 1 to 128 letters, digits or . _ : -'],
    ['parent', 'task-1', 'must be a task id'],
    ['tags', [], tagsRule],
    ['tags', { a: 1 }, tagsRule],
    ['tags', { 'a b': '' }, tagsRule],
    ['tags', { a: 'x'.repeat(257) }, tagsRule],
    ['tags', many, tagsRule],
  ])('%s: %j', (name, value, rule) => {
    expect(accept({ [name]: value })).toEqual({ violations: [{ pointer: `/options/${name}`, rule }] });
  });

  it('and all of them at once', () => {
    const result = accept({ queue: 'unknown', priority: 99, notBefore: 'x', expiresAt: 'x', retry: 1, batch: 1, parent: 1, tags: 1, concurrencyKey: 'k', tenant: 't' });
    const pointers = 'violations' in result ? result.violations.map(({ pointer }) => pointer) : [];
    expect([...pointers].sort()).toEqual(optionNames.map((name) => `/options/${name}`).sort());
  });

  it('never repeats a value, whatever it is', () => {
    fc.assert(
      fc.property(fc.constantFrom(...optionNames), fc.string({ minLength: 12 }), (name, secret) => {
        const result = accept({ [name]: [secret] });
        expect('violations' in result && JSON.stringify(result).includes(JSON.stringify(secret).slice(1, -1))).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes or refuses anything without a throw', () => {
    const options = fc.dictionary(fc.constantFrom(...optionNames), jsonValues);
    fc.assert(
      fc.property(options, (some) => {
        const result = accept(some);
        expect('data' in result || result.violations.length > 0).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the request digest', () => {
  it('is the SHA-256 of the canonical JSON of type, version, payload and options as sent', () => {
    const text = '{"options":{"priority":3},"payload":{"a":1},"type":"t","version":2}';
    expect(requestDigest({ type: 't', version: 2, payload: { a: 1 }, options: { priority: 3 } }, sha256Hex)).toBe(sha256Hex(text));
  });

  it('does not cover what was not sent', () => {
    expect(requestDigest({ type: 't', payload: null }, sha256Hex)).toBe(sha256Hex('{"payload":null,"type":"t"}'));
  });

  it('does not depend on the order of members', () => {
    fc.assert(
      fc.property(jsonValues, jsonValues, (one, other) => {
        const forth = { type: 't', payload: { one, other }, options: { queue: 'a', priority: 1 } };
        const back = { options: { priority: 1, queue: 'a' }, payload: { other: reversed(other), one: reversed(one) }, type: 't' };
        expect(requestDigest(back, sha256Hex)).toBe(requestDigest(forth, sha256Hex));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<readonly [string, TaskRequest]>([
    ['another type', { ...request, type: 'email.goodbye' }],
    ['a version where none was sent', { ...request, version: 1 }],
    ['another payload', { ...request, payload: {} }],
    ['options where none were sent', { ...request, options: {} }],
  ])('differs with %s', (_name, other) => {
    expect(requestDigest(other, sha256Hex)).not.toBe(requestDigest(request, sha256Hex));
  });

  it('covers a broken-down option as it was written: "10s" is not 10000', () => {
    expect(dataOf({ notBefore: '10s' }).requestDigest).not.toBe(dataOf({ notBefore: 10_000 }).requestDigest);
  });
});

it('keeps the payload as it was sent', () => {
  fc.assert(
    fc.property(jsonValues, (payload) => {
      const result = acceptTask({ ...request, payload }, defaults, context, sha256Hex);
      expect('data' in result && result.data.payload === payload).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

it('gives the same data for the same request, so that a repeated submission is the same event', () => {
  const options = { queue: 'heavy', notBefore: '10s', tags: { a: 'b' }, retry: { maxAttempts: 2 } };
  expect(accept(structuredClone(options))).toEqual(accept(options));
});

it('reads a retry policy with what is absent taken from the given one', () => {
  expect(parseRetry({ base: '2s' }, { maxAttempts: 9, backoff: 'fixed', baseMs: 1, maxMs: 7 })).toEqual({ maxAttempts: 9, backoff: 'fixed', baseMs: 2_000, maxMs: 7 });
});

it.each([
  ['a', true],
  ['file.checksum', true],
  ['9-_.', true],
  ['a'.repeat(128), true],
  ['a'.repeat(129), false],
  ['', false],
  ['.a', false],
  ['a b', false],
  ['ä', false],
])('knows names of task types: %s', (name, expected) => expect(typeNamePattern.test(name)).toBe(expected));

function accept(options: JsonObject) {
  return acceptTask({ ...request, options }, defaults, context, sha256Hex);
}

function dataOf(options: JsonObject) {
  const result = accept(options);
  if ('violations' in result) throw new Error(JSON.stringify(result.violations));
  return result.data;
}

function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([name, member]) => [name, reversed(member ?? null)]));
}

import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { DaybookError } from '../domain/errors.ts';
import { definitionBrand, defineTask, isTaskDefinition, type TaskDefinition } from './define-task.ts';

const payload = z.object({ path: z.string() });

it('fills in the documented defaults', () => {
  const definition = defineTask({ type: 'file.checksum', payload });
  expect(definition).toMatchObject({
    type: 'file.checksum',
    version: 1,
    timeoutMs: 30_000,
    retry: { maxAttempts: 3, backoff: 'exponential', baseMs: 1_000, maxMs: 300_000 },
    queue: 'default',
    priority: 0,
    guard: 'preferred',
    result: null,
    upcast: {},
  });
  expect(definition.payload).toBe(payload);
});

it('takes everything that an author may say', () => {
  const result = z.object({ sha256: z.string() });
  const definition = defineTask({
    type: 'file.checksum',
    version: 2,
    payload,
    result,
    timeout: '2m',
    retry: { maxAttempts: 5, backoff: 'fixed', base: '2s', max: 60_000 },
    queue: 'heavy',
    priority: 9,
    guard: 'required',
    upcast: { 1: ({ file }: { file: string }) => ({ path: file }) },
  });
  expect(definition).toMatchObject({
    version: 2,
    timeoutMs: 120_000,
    retry: { maxAttempts: 5, backoff: 'fixed', baseMs: 2_000, maxMs: 60_000 },
    queue: 'heavy',
    priority: 9,
    guard: 'required',
  });
  expect(definition.result).toBe(result);
  expect(definition.upcast[1]?.({ file: 'a' })).toEqual({ path: 'a' });
});

it('cannot be changed afterwards', () => {
  expect(Object.isFrozen(defineTask({ type: 'a', payload }))).toBe(true);
});

describe('a definition that breaks a rule says which, and how to mend it', () => {
  it.each<readonly [string, object, string]>([
    ['type', { type: '' }, 'type must be 1 to 128 letters, digits, . _ or -, and start with a letter or digit'],
    ['type', { type: 'a b' }, 'type must be'],
    ['type', { type: 5 }, 'type must be'],
    ['version', { version: 0 }, 'version must be a whole number, at least 1'],
    ['version', { version: 1.5 }, 'version must be'],
    ['version', { version: '1' }, 'version must be'],
    ['payload', { payload: undefined }, 'payload must be a Standard Schema, such as z.object({ … })'],
    ['payload', { payload: { type: 'object' } }, 'payload must be a Standard Schema'],
    ['result', { result: {} }, 'result must be a Standard Schema'],
    ['timeout', { timeout: '0ms' }, "timeout must be a duration from 1 ms to 24 h, such as '30s'"],
    ['timeout', { timeout: '25h' }, 'timeout must be'],
    ['timeout', { timeout: 'soon' }, 'timeout must be'],
    ['retry', { retry: { maxAttempts: 0 } }, 'retry: maxAttempts must be a whole number from 1 to 1000'],
    ['retry', { retry: { attempts: 3 } }, "retry: has an unknown member 'attempts'"],
    ['retry', { retry: { base: '31d' } }, 'retry: base and max must be delays'],
    ['queue', { queue: 'a b' }, 'queue must be 1 to 128 letters, digits or . _ : -'],
    ['queue', { queue: 5 }, 'queue must be'],
    ['priority', { priority: 10 }, 'priority must be a whole number from 0 to 9'],
    ['guard', { guard: 'always' }, "guard must be 'preferred' or 'required'"],
    ['upcast', { version: 2, upcast: { 1: 'not a function' } }, 'upcast[1] must be a function'],
    ['upcast', { upcast: { 2: () => ({}) } }, 'upcast[2] must stand at an older version than 1'],
    ['sensitive', { sensitive: ['/card'] }, 'sensitive is not built yet: leave it out'],
    ['concurrency', { concurrency: 2 }, 'concurrency is not built yet: leave it out'],
    ['rateLimit', { rateLimit: '5/s' }, 'rateLimit is not built yet: leave it out'],
  ])('%s: %j', (_name, options, message) => {
    const define = () => defineTask({ type: 'file.checksum', payload, ...options } as Parameters<typeof defineTask>[0]);
    expect(define).toThrow(DaybookError);
    expect(define).toThrow(message);
    expect(define).toThrow(/^task /);
  });
});

describe('isTaskDefinition', () => {
  it('knows a definition of another copy of the package by its brand', () => {
    expect(isTaskDefinition(defineTask({ type: 'a', payload }))).toBe(true);
    expect(isTaskDefinition({ '~daybook.definition': true })).toBe(true);
    expect(definitionBrand).toBe('~daybook.definition');
  });

  it.each([null, undefined, 'a', {}, { type: 'a', version: 1 }])('does not take %j for one', (value) => {
    expect(isTaskDefinition(value)).toBe(false);
  });
});

describe('types', () => {
  it('infer what clients send and what handlers get from the schema', () => {
    const definition = defineTask({
      type: 'a',
      payload: z.object({ size: z.number().default(1), at: z.string().transform((text) => text.length) }),
      result: z.object({ bytes: z.number() }),
    });
    expectTypeOf(definition).toExtend<TaskDefinition<{ size?: number | undefined; at: string }, { size: number; at: number }, { bytes: number }>>();
  });

  it('let a task without a result schema return anything: whether JSON can hold it is seen when it runs', () => {
    const definition = defineTask({ type: 'a', payload });
    expectTypeOf(definition).toEqualTypeOf<TaskDefinition<{ path: string }, { path: string }, unknown>>();
  });

  it('let every definition stand in a list of definitions', () => {
    const list: TaskDefinition[] = [defineTask({ type: 'a', payload }), defineTask({ type: 'b', payload: z.number(), result: z.string() })];
    expect(list).toHaveLength(2);
  });

  it('refuse what is no schema, no name and no option', () => {
    // @ts-expect-error a plain object is no Standard Schema
    expect(() => defineTask({ type: 'a', payload: {} })).toThrow();
    // @ts-expect-error the type is missing
    expect(() => defineTask({ payload })).toThrow();
    // @ts-expect-error neither of the two guards
    expect(() => defineTask({ type: 'a', payload, guard: 'always' })).toThrow();
    // @ts-expect-error maxAttempts is a number
    expect(() => defineTask({ type: 'a', payload, retry: { maxAttempts: '3' } })).toThrow();
  });
});

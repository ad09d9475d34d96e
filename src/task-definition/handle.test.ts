import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { defineTask } from './define-task.ts';
import { handle, handlerBrand, isTaskHandler, type HandlerContext, type TaskHandler } from './handle.ts';
import type { CatalogEntry } from './task-catalog.ts';

const checksum = defineTask({
  type: 'file.checksum',
  payload: z.object({ path: z.string(), buffer: z.number().default(1_024) }),
  result: z.object({ sha256: z.string() }),
});

it('binds the work to its definition', async () => {
  const handler = handle(checksum, ({ path }) => ({ sha256: path }));
  expect(handler.definition).toBe(checksum);
  expect(await handler.run({ path: 'a' }, {} as HandlerContext)).toEqual({ sha256: 'a' });
  expect(Object.isFrozen(handler)).toBe(true);
});

it('refuses what is no definition and what is no function', () => {
  // @ts-expect-error not made by defineTask
  expect(() => handle({ type: 'a' }, () => null)).toThrow('handle: the first argument must come from defineTask');
  // @ts-expect-error no function
  expect(() => handle(checksum, 'run')).toThrow('task file.checksum: the handler must be a function');
});

it('knows a handler of another copy of the package by its brand', () => {
  expect(isTaskHandler(handle(checksum, () => ({ sha256: '' })))).toBe(true);
  expect(isTaskHandler({ '~daybook.handler': true })).toBe(true);
  expect(handlerBrand).toBe('~daybook.handler');
  expect([null, undefined, {}, checksum].map(isTaskHandler)).toEqual([false, false, false, false]);
});

describe('types', () => {
  it('give the handler the parsed payload and the context', () => {
    handle(checksum, (payload, ctx) => {
      expectTypeOf(payload).toEqualTypeOf<{ path: string; buffer: number }>();
      expectTypeOf(ctx).toEqualTypeOf<HandlerContext>();
      expectTypeOf(ctx.attempt).toBeNumber();
      expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>();
      return Promise.resolve({ sha256: '' });
    });
  });

  it('refuse a result that breaks the result schema', () => {
    // @ts-expect-error sha256 is missing
    handle(checksum, () => ({}));
    // @ts-expect-error sha256 is no number
    handle(checksum, () => Promise.resolve({ sha256: 1 }));
  });

  it('let a handler without a result schema return nothing, or a value of any type', () => {
    interface Summary {
      readonly lines: number;
    }
    const free = defineTask({ type: 'free', payload: z.string() });
    handle(free, () => [1, 'two', { three: null }]);
    handle(free, async () => {});
    handle(free, (): Summary => ({ lines: 1 }));
  });

  it('check the payload of a child task against what its schema takes in', () => {
    handle(checksum, async (_payload, ctx) => {
      await ctx.submit(checksum, { path: 'a' }, { key: 'child' });
      // @ts-expect-error the path is missing
      await ctx.submit(checksum, {}, { key: 'child' });
      // @ts-expect-error the key is missing
      await ctx.submit(checksum, { path: 'a' }, {});
      return { sha256: '' };
    });
  });

  it('let handlers and definitions of any kind stand in one list', () => {
    const tasks: CatalogEntry[] = [checksum, handle(checksum, () => ({ sha256: '' }))];
    expectTypeOf(handle(checksum, () => ({ sha256: '' }))).toEqualTypeOf<TaskHandler>();
    expect(tasks).toHaveLength(2);
  });
});

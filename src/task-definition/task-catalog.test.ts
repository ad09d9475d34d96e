import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, type TaskDefinition } from './define-task.ts';
import { handle } from './handle.ts';
import { TaskCatalog, type CatalogEntry } from './task-catalog.ts';

const payload = z.object({ name: z.string() });
const version1 = defineTask({ type: 'greet', version: 1, payload });
const version3 = defineTask({
  type: 'greet',
  version: 3,
  payload: z.object({ first: z.string(), last: z.string() }),
  queue: 'heavy',
  upcast: {
    1: ({ name }: { name: string }) => ({ full: name }),
    2: ({ full }: { full: string }) => ({ first: full.split(' ')[0], last: full.split(' ')[1] }),
  },
});
const other = defineTask({ type: 'another', payload });

describe('what the catalog knows', () => {
  const catalog = new TaskCatalog([version1, handle(version3, () => null), other]);

  it('is its types, sorted, each once', () => expect(catalog.types).toEqual(['another', 'greet']));
  it('is every definition, those of handlers too', () => expect(catalog.definitions).toEqual([version1, version3, other]));
  it('is every queue that a definition names, and the default one', () => expect(catalog.queues).toEqual(new Set(['default', 'heavy'])));
  it('is whether it can run anything', () => {
    expect(catalog.hasHandlers).toBe(true);
    expect(new TaskCatalog([version1]).hasHandlers).toBe(false);
  });
  it('may be nothing', () => {
    const empty = new TaskCatalog([]);
    expect([empty.types, empty.definitions, empty.queues, empty.find('greet')]).toEqual([[], [], new Set(['default']), null]);
  });
});

describe('finding a definition', () => {
  const catalog = new TaskCatalog([version1, version3]);

  it('takes the highest version where none is asked for', () => expect(catalog.find('greet')?.definition).toBe(version3));
  it('takes the very version where it is known, without an upcast', () => {
    const found = catalog.find('greet', 1);
    expect(found?.definition).toBe(version1);
    expect(found?.upcast({ name: 'Ada' })).toEqual({ name: 'Ada' });
  });
  it('finds nothing for an unknown type', () => expect(catalog.find('greets')).toBeNull());
  it('finds nothing for a newer version', () => expect(catalog.find('greet', 4)).toBeNull());
  it('is not misled by names of the language', () => {
    expect([catalog.find('constructor'), catalog.find('__proto__'), catalog.find('toString', 1)]).toEqual([null, null, null]);
  });

  it('takes an older payload through every step to a newer version', () => {
    const found = new TaskCatalog([version3]).find('greet', 1);
    expect(found?.definition).toBe(version3);
    expect(found?.upcast({ name: 'Ada Lovelace' })).toEqual({ first: 'Ada', last: 'Lovelace' });
  });

  it('takes a version that is not defined from where it stands', () => {
    expect(catalog.find('greet', 2)?.upcast({ full: 'Ada Lovelace' })).toEqual({ first: 'Ada', last: 'Lovelace' });
  });

  it('takes the oldest newer definition that it can reach', () => {
    const version4 = defineTask({ type: 'greet', version: 4, payload, upcast: { 1: () => ({}), 2: () => ({}), 3: () => ({}) } });
    expect(new TaskCatalog([version4, version3]).find('greet', 1)?.definition).toBe(version3);
    const unreachable = defineTask({ type: 'greet', version: 3, payload });
    expect(new TaskCatalog([version4, unreachable]).find('greet', 1)?.definition).toBe(version4);
  });

  it('finds nothing where a step is missing', () => {
    const gap = defineTask({ type: 'greet', version: 3, payload, upcast: { 1: () => ({}) } });
    expect(new TaskCatalog([gap]).find('greet', 1)).toBeNull();
  });
});

describe('finding a handler', () => {
  const handler = handle(version3, () => null);

  it('needs one of the definition that fits', () => {
    const catalog = new TaskCatalog([version1, handler]);
    expect(catalog.findHandler('greet', 3)?.handler).toBe(handler);
    expect(catalog.findHandler('greet', 1)).toBeNull();
    expect(catalog.findHandler('another', 1)).toBeNull();
  });

  it('takes an older payload to a newer handler', () => {
    const found = new TaskCatalog([handler]).findHandler('greet', 2);
    expect(found?.handler).toBe(handler);
    expect(found?.upcast({ full: 'Ada Lovelace' })).toEqual({ first: 'Ada', last: 'Lovelace' });
  });
});

it('says whether a task that it can handle requires a guard', () => {
  const guarded = defineTask({ type: 'pay', payload, guard: 'required' });
  expect(new TaskCatalog([guarded, handle(version1, () => null)]).requiresGuard).toBe(false);
  expect(new TaskCatalog([handle(guarded, () => null), version1]).requiresGuard).toBe(true);
});

describe('what the catalog refuses', () => {
  it('is what comes from neither defineTask nor handle, with its place', () => {
    expect(() => new TaskCatalog([version1, { type: 'a' } as unknown as CatalogEntry])).toThrow('tasks[1]: must come from defineTask or handle');
    expect(() => new TaskCatalog([null as unknown as TaskDefinition])).toThrow('tasks[0]: must come from defineTask or handle');
  });

  it('is two definitions of one type and version', () => {
    const twin = defineTask({ type: 'greet', version: 1, payload });
    expect(() => new TaskCatalog([version1, twin])).toThrow('task greet version 1 has two definitions: keep one, or raise the version');
    expect(() => new TaskCatalog([version1, handle(twin, () => null)])).toThrow('two definitions');
  });

  it('is two handlers of one definition', () => {
    expect(() => new TaskCatalog([handle(version1, () => null), handle(version1, () => null)])).toThrow('task greet version 1 has two handlers');
  });

  it('is not the same entry twice, which two modules may export', () => {
    const handler = handle(version1, () => null);
    expect(new TaskCatalog([version1, handler, handler, version1]).definitions).toEqual([version1]);
  });
});

import { expect, it } from 'vitest';
import { parseTaskFilter } from './task-filter.ts';

const now = Date.UTC(2026, 0, 31, 12);

it.each([
  ['', {}],
  ['   ', {}],
  ['state:failed', { phases: ['failed'] }],
  ['state:failed,retrying type:invoice.*', { phases: ['failed', 'retrying'], type: 'invoice.*' }],
  ['worker:w-7 error:3fa9 batch:b-1', { worker: 'w-7', error: '3fa9', batch: 'b-1' }],
  ['tag.customer:acme tag.region:eu', { tags: { customer: 'acme', region: 'eu' } }],
  ['tag.note:"two words: here"', { tags: { note: 'two words: here' } }],
  ['since:1h', { acceptedFromMs: now - 3_600_000 }],
  ['since:2026-01-31T09:00:00Z', { acceptedFromMs: Date.UTC(2026, 0, 31, 9) }],
  ['age:>10m', { acceptedBeforeMs: now - 600_000 }],
  ['age:<10m', { acceptedFromMs: now - 600_000 }],
  ['attempts:>3', { attemptsAbove: 3 }],
  ['attempts:<2', { attemptsBelow: 2 }],
])('reads %j', (text, filter) => {
  expect(parseTaskFilter(text, now)).toEqual(filter);
});

it.each([
  ['stat:failed', "'stat' is no qualifier: did you mean 'state'?"],
  ['tags.x:1', "'tags.x' is no qualifier: did you mean 'tag.NAME'?"],
  ['tag:acme', "'tag' is no qualifier: did you mean 'tag.NAME'?"],
  ['colour:red', "'colour' is no qualifier; qualifiers are state, type"],
  ['state:faild', "has no 'faild': did you mean 'failed'? States are accepted"],
  ['state:xyz', "has no 'xyz': states are accepted"],
  ['failed', "'failed' must have the form qualifier:value"],
  [':x', 'must have the form'],
  ['state:', "'state' must have a value"],
  ['state:failed state:completed', "'state' must stand once"],
  ['since:yesterday', "'since' must be a duration such as '1h' or an instant"],
  ['since:2026-01-31', "'since' must be a duration"],
  ['age:10m', "'age' must be '>' or '<' and a duration"],
  ['attempts:>many', "'attempts' must be '>' or '<' and a whole number"],
  ['tag.x:"open', 'must '],
  ['x'.repeat(1_001), 'at most 1000 characters'],
])('refuses what it cannot read, and says what would do (%#)', (text, rule) => {
  expect(() => parseTaskFilter(text, now)).toThrow(expect.objectContaining({ status: 400, code: 'invalid-filter', detail: expect.stringContaining(rule) }));
});

it.each(['stat:failed', 'colour:red', 'state:faild', 'state:xyz', 'failed', 'age:10m', 'x'.repeat(1_001)])('ends each sentence once (%#)', (text) => {
  expect(() => parseTaskFilter(text, now)).toThrow(/[^.?][.?]$/);
});

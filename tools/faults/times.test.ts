import { expect, it } from 'vitest';
import { timesOf, type Outage } from './times.ts';
import type { WrittenLine } from './written-line.ts';

it('takes the longest gap of the whole run where a majority was always there', () => {
  const outage: Outage = { injectedMs: 200, returnedMs: 5_000, kcatMs: 5_000, hadMajority: true };
  expect(timesOf(acknowledgedAt(100, 200, 3_300, 3_400), [outage])).toEqual({ longestGapMs: 3_100, firstAfterReturnMs: null, kcatAfterReturnMs: null });
});

it('leaves out the time without a majority, and counts from the moment that kcat could write again', () => {
  const outage: Outage = { injectedMs: 1_000, returnedMs: 9_000, kcatMs: 9_500, hadMajority: false };
  expect(timesOf(acknowledgedAt(600, 900, 9_900, 10_000), [outage])).toEqual({ longestGapMs: 400, firstAfterReturnMs: 900, kcatAfterReturnMs: 500 });
});

it('takes the slowest of several returns', () => {
  const outages = [1_000, 4_000].map((injectedMs): Outage => ({ injectedMs, returnedMs: injectedMs + 500, kcatMs: injectedMs + 700, hadMajority: false }));
  expect(timesOf(acknowledgedAt(900, 1_800, 3_900, 5_400, 5_500), outages)).toMatchObject({ firstAfterReturnMs: 900, kcatAfterReturnMs: 200 });
});

it('begins with the return where the servers were away when the writer started', () => {
  const outage: Outage = { injectedMs: 0, returnedMs: 15_000, kcatMs: 15_500, hadMajority: false };
  expect(timesOf(acknowledgedAt(15_400, 15_700, 15_800), [outage])).toEqual({ longestGapMs: 200, firstAfterReturnMs: 400, kcatAfterReturnMs: 500 });
});

function acknowledgedAt(...times: number[]): WrittenLine[] {
  const unknown: WrittenLine = { end: 'unknown', event: 'task-1/1', sha256: '', atMs: 500 };
  return [unknown, ...times.map((atMs): WrittenLine => ({ end: 'acknowledged', event: 'task-1/1', sha256: '', atMs, partition: 0, offset: 0 }))];
}

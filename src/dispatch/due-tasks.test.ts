import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DueTasks } from './due-tasks.ts';

describe('DueTasks', () => {
  it('gives tasks once their time has come, the earliest first', () => {
    const due = new DueTasks<string>();
    due.set('late', 30);
    due.set('early', 10);
    due.set('later', 40);
    expect(due.nextDueMs).toBe(10);
    expect(due.takeDue(30)).toEqual(['early', 'late']);
    expect(due.takeDue(39)).toEqual([]);
    expect(due.takeDue(40)).toEqual(['later']);
    expect(due.nextDueMs).toBeNull();
  });

  it('keeps only the time that was set last', () => {
    const due = new DueTasks<string>();
    due.set('task', 10);
    due.set('task', 50);
    expect(due.takeDue(20)).toEqual([]);
    due.set('task', 30);
    expect(due.takeDue(60)).toEqual(['task']);
  });

  it('forgets a deleted task', () => {
    const due = new DueTasks<string>();
    due.set('task', 10);
    due.delete('task');
    expect(due.takeDue(99)).toEqual([]);
  });

  it('agrees with sorting, whatever is set and in which order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(100))), fc.nat(100), (sets, nowMs) => {
        const due = new DueTasks<number>();
        const model = new Map<number, number>();
        for (const [task, timeMs] of sets) {
          due.set(task, timeMs);
          model.set(task, timeMs);
        }
        const expected = [...model].filter(([, timeMs]) => timeMs <= nowMs);
        const taken = due.takeDue(nowMs);
        expect(new Set(taken)).toEqual(new Set(expected.map(([task]) => task)));
        const times = taken.map((task) => model.get(task) ?? NaN);
        expect(times).toEqual([...times].sort((one, other) => one - other));
      }),
    );
  });
});

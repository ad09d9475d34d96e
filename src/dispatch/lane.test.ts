import { describe, expect, it } from 'vitest';
import { initialState, type Accepted } from '../domain/task-state.ts';
import { Lane } from './lane.ts';
import { newTask, type OpenTask } from './open-tasks.ts';

function task(taskId: string, priority = 0): OpenTask {
  return { ...newTask(taskId, 0), state: { ...initialState(taskId), accepted: { priority } as Accepted } };
}

describe('Lane', () => {
  it('gives the highest priority first, and equals in the order they came', () => {
    const lane = new Lane();
    for (const offered of [task('a'), task('b', 9), task('c'), task('d', 9), task('e', 5)]) lane.offer(offered);
    expect(lane.waiting).toBe(5);
    expect(Array.from({ length: 6 }, () => lane.take()?.taskId)).toEqual(['b', 'd', 'e', 'a', 'c', undefined]);
    expect(lane.waiting).toBe(0);
  });

  it('holds a task once, however often it is offered', () => {
    const lane = new Lane();
    const once = task('a');
    lane.offer(once);
    lane.offer(once);
    expect(lane.waiting).toBe(1);
    expect(lane.take()).toBe(once);
    lane.offer(once);
    expect(lane.take()).toBe(once);
  });

  it('keeps its order over many tasks coming and going', () => {
    const lane = new Lane();
    const taken: string[] = [];
    for (let at = 0; at < 10_000; at++) {
      lane.offer(task(`t${at}`));
      if (at % 3 !== 0) taken.push(lane.take()?.taskId ?? '');
    }
    for (let next = lane.take(); next; next = lane.take()) taken.push(next.taskId);
    expect(taken).toEqual(Array.from({ length: 10_000 }, (_, at) => `t${at}`));
  });
});

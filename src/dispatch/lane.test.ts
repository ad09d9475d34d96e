import { describe, expect, it } from 'vitest';
import { initialState, type Accepted } from '../domain/task-state.ts';
import { Lane } from './lane.ts';
import { newTask, type OpenTask } from './open-tasks.ts';

function task(taskId: string, priority = 0): OpenTask {
  return { ...newTask(taskId, 0), state: { ...initialState(taskId), accepted: { priority } as Accepted } };
}

const window = 1_000;

describe('Lane', () => {
  it('gives the highest priority first, and equals in the order they came', () => {
    const lane = new Lane();
    for (const offered of [task('a'), task('b', 9), task('c'), task('d', 9), task('e', 5)]) lane.offer(offered);
    expect(lane.waiting).toBe(5);
    expect(Array.from({ length: 6 }, () => lane.take(window)?.taskId)).toEqual(['b', 'd', 'e', 'a', 'c', undefined]);
    expect(lane.waiting).toBe(0);
  });

  it('holds a task once, however often it is offered', () => {
    const lane = new Lane();
    const once = task('a');
    lane.offer(once);
    lane.offer(once);
    expect(lane.waiting).toBe(1);
    expect(lane.take(window)).toBe(once);
    lane.offer(once);
    expect(lane.take(window)).toBe(once);
  });

  it('keeps its order over many tasks coming and going', () => {
    const lane = new Lane();
    const taken: string[] = [];
    for (let at = 0; at < 10_000; at++) {
      lane.offer(task(`t${at}`));
      if (at % 3 !== 0) taken.push(lane.take(window)?.taskId ?? '');
    }
    for (let next = lane.take(window); next; next = lane.take(window)) taken.push(next.taskId);
    expect(taken).toEqual(Array.from({ length: 10_000 }, (_, at) => `t${at}`));
  });

  it('gives nothing while the window is full, but what is to be issued again, which has its place already', () => {
    const lane = new Lane();
    lane.outstanding = 2;
    lane.offer(task('new', 9));
    lane.offerAgain(task('lost'));
    expect(lane.waiting).toBe(2);
    expect([lane.take(2)?.taskId, lane.take(2)?.taskId]).toEqual(['lost', undefined]);
    expect(lane.take(3)?.taskId).toBe('new');
  });
});

import { expect } from 'vitest';
import type { Evidence } from './evidence.ts';
import { historiesOfTasks } from './histories-of-tasks.ts';

const wholeHistory = ['TaskAccepted', 'TaskDispatched', 'TaskExecutionCompleted', 'TaskExecutionStarted'];

/**
 * Each of the tasks went through its life once, copies aside: accepted, dispatched, started, completed, nothing else;
 * and its handler ran once, by its own account. For tasks that succeed in their first attempt.
 */
export function expectOneExecutionEach({ records, effects }: Evidence, taskIds: Iterable<string>): void {
  const histories = historiesOfTasks(records);
  for (const taskId of taskIds) {
    const types = (histories.get(taskId) ?? []).map(({ type }) => type);
    // A start may stand before its dispatch, which is recorded after the broker's confirm; nothing else may.
    expect(types.toSorted(), taskId).toEqual(wholeHistory);
    expect([types.at(0), types.filter((type) => type !== 'TaskDispatched').at(-1)], taskId).toEqual(['TaskAccepted', 'TaskExecutionCompleted']);
    expect(effects?.filter((effect) => effect.taskId === taskId), taskId).toHaveLength(1);
  }
}

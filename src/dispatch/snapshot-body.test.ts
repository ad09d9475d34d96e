import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DecodedRecord } from '../domain/task-events.ts';
import { history } from '../../test/support/task-history.ts';
import { walks } from '../../test/support/task-walk.ts';
import { recordsRemembered } from './ended-tasks.ts';
import { OpenTasks } from './open-tasks.ts';
import { decodeFold, encodeFold } from './snapshot-body.ts';

const partition = 3;
const noTurn = () => Promise.resolve();
const random = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
const keyed = (number: number) => `ffffffff-ffff-5fff-bfff-${String(number).padStart(12, '0')}`;
const ids = [random(1), keyed(1), random(2), keyed(2), 'no uuid', 'sixteen letters!', 'ü🎈'];

/** What happens in one partition: records of several tasks, mixed, and what a dispatcher is busy with meanwhile. */
const partitions = fc
  .record({
    tasks: fc.array(walks, { minLength: 1, maxLength: ids.length }),
    picks: fc.array(fc.nat({ max: 999 }), { minLength: 40, maxLength: 150 }),
    /** Offsets that cross what is remembered, or do not. */
    step: fc.constantFrom(1, 30_000, recordsRemembered, 3 * recordsRemembered),
    busy: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
    cut: fc.nat({ max: 160 }),
  })
  .map(({ tasks, picks, ...rest }) => ({ ...rest, records: mixed(tasks.map(({ events }) => events.events), picks) }));

function mixed(histories: readonly (readonly DecodedRecord[])[], picks: readonly number[]): DecodedRecord[] {
  const left = histories.map((events, index) => ({ events: [...events], taskId: ids[index]! }));
  return picks.flatMap((pick) => {
    const { events, taskId } = left[pick % left.length]!;
    const event = events.shift();
    return event ? [{ ...event, taskId }] : [];
  });
}

/** Folds as the dispatcher does; actions that are under way keep an ended task in memory for a while. */
function foldAll(tasks: OpenTasks, records: readonly DecodedRecord[], { from = 0, step = 1, busy = [false] } = {}): OpenTasks {
  records.forEach((event, index) => {
    const number = from + index;
    const record = { partition, offset: number * step, timestampMs: 0, key: event.taskId, headers: [], value: new Uint8Array() };
    const task = tasks.fold(record, event);
    if (!task) return;
    task.unsettled = busy[number % busy.length] ? 1 : 0;
    tasks.closeIfOver(task);
  });
  return tasks;
}

/** Everything that is known of the partition, for comparison. */
function known(tasks: OpenTasks) {
  const { tasks: open, ended } = tasks.cut(partition);
  const sorted = open.toSorted((one, other) => (one.taskId < other.taskId ? -1 : 1));
  return { open: sorted, stretch: ended.stretch, ended: ended.sets.map(({ ids: set }) => [...set].sort()) };
}

async function restored(from: OpenTasks): Promise<OpenTasks> {
  const tasks = new OpenTasks();
  tasks.restore(partition, await decodeFold(await encodeFold(from.cut(partition), noTurn), noTurn));
  return tasks;
}

it('gives, restored at any point of any history and read on, what the whole history gives', async () => {
  await fc.assert(
    fc.asyncProperty(partitions, async ({ records, step, busy, cut }) => {
      const whole = foldAll(new OpenTasks(), records, { step });
      const at = Math.min(cut, records.length);
      const before = foldAll(new OpenTasks(), records.slice(0, at), { step, busy });
      const after = foldAll(await restored(before), records.slice(at), { from: at, step });
      expect(known(after)).toEqual(known(whole));
    }),
    { numRuns: 300 },
  );
});

it('holds a fold as it was when it was cut, whatever is folded while it is written', async () => {
  const done = (number: number) => history(keyed(number)).accepted().dispatched(1).started(1, 'e').completed(1, 'e').events;
  const tasks = foldAll(new OpenTasks(), [...done(1), ...history(random(1)).accepted().events]);
  const before = known(tasks);
  const cut = tasks.cut(partition);
  foldAll(tasks, [...done(2), ...history(random(1)).accepted().cancellationRequested().events.slice(1)], { from: 5, step: recordsRemembered });
  const late = new OpenTasks();
  late.restore(partition, await decodeFold(await encodeFold(cut, noTurn), noTurn));
  expect(known(late)).toEqual(before);
});

it('keeps why a job was issued again, by which the limit of issues is counted', async () => {
  const events = history(random(1)).accepted().dispatched(1).dispatched(1, { issue: 2, reason: 'queue lost' }).dispatched(1, { issue: 3, reason: 'presumed lost' }).events;
  const [task] = (await restored(foldAll(new OpenTasks(), events))).of(partition);
  expect(task?.state.attempts[0]?.dispatches.map(({ reason }) => reason)).toEqual([null, 'queue lost', 'presumed lost']);
});

it('refuses bytes that are cut short or too long', async () => {
  const body = await encodeFold(foldAll(new OpenTasks(), history(random(1)).accepted().events).cut(partition), noTurn);
  for (const broken of [body.subarray(0, -1), new Uint8Array([...body, 0]), new Uint8Array()]) await expect(decodeFold(broken, noTurn)).rejects.toThrow();
});

it('forgets a completed task with a random id after 200,000 records, and never one that was made from a key', () => {
  const done = (taskId: string) => history(taskId).accepted().dispatched(1).started(1, 'e').completed(1, 'e').events;
  const tasks = foldAll(new OpenTasks(), [...done(random(1)), ...done(keyed(1))]);
  const repeat = (taskId: string, offset: number) => {
    const event = history(taskId).accepted().events[0]!;
    return tasks.fold({ partition, offset, timestampMs: 0, key: taskId, headers: [], value: new Uint8Array() }, event);
  };
  for (const taskId of [random(1), keyed(1)]) expect(repeat(taskId, recordsRemembered + 7)).toBeNull();
  expect(repeat(keyed(1), 9 * recordsRemembered)).toBeNull();
  expect(repeat(random(1), 9 * recordsRemembered)).not.toBeNull();
  expect(tasks.closedCount).toBe(1);
});

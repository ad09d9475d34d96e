import { expect, it } from 'vitest';
import { storedRecords, taskId } from '../../test/support/stored-records.ts';
import { history } from '../../test/support/task-history.ts';
import { foldRow, offsetsKept, prepareBatch } from './fold-batch.ts';

const finished = history(taskId(1)).accepted().dispatched(1).started(1, 'e-1').completed(1, 'e-1').records;

it('reads and writes each task of a batch once, however many events it got', () => {
  const batch = prepareBatch(new Map(), storedRecords([...finished, ...history(taskId(2)).accepted().records]));
  expect(batch.taskIds).toEqual([taskId(1), taskId(2)]);
  expect(batch.change(new Map()).map(({ offsets }) => offsets)).toEqual([[0, 1, 2, 3], [4]]);
  expect(batch).toMatchObject({ next: new Map([[0, 5]]), quarantined: [] });
});

it('gives the same row whether the events come at once or in parts', () => {
  const records = storedRecords(finished);
  const whole = foldRow(null, taskId(1), records);
  expect(foldRow(foldRow(null, taskId(1), records.slice(0, 2)), taskId(1), records.slice(2))).toEqual(whole);
  expect(whole).toMatchObject({ acceptedOffset: 0, completedOffset: 3, furtherEvents: 0 });
});

it('sets aside records whose key can be no task id, and goes past them', () => {
  const [record] = storedRecords(finished);
  const strays = [null, '', 'x'.repeat(257)].flatMap((key, offset) => (record ? [{ ...record, key, offset }] : []));
  const batch = prepareBatch(new Map(), strays);
  expect(batch.taskIds).toEqual([]);
  expect(batch.quarantined.map(({ offset }) => offset)).toEqual([0, 1, 2]);
  expect(batch.next).toEqual(new Map([[0, 3]]));
});

it('keeps the first 10,000 offsets of a task, and counts the rest', () => {
  const copies = storedRecords(new Array(offsetsKept + 2).fill(finished.slice(0, 1)).flat());
  const row = foldRow(foldRow(null, taskId(1), copies.slice(0, offsetsKept - 1)), taskId(1), copies.slice(offsetsKept - 1));
  expect(row.offsets).toHaveLength(offsetsKept);
  expect(row.furtherEvents).toBe(2);
});

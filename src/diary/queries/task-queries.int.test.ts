import { expect, it } from 'vitest';
import { instantText } from '../../domain/instant.ts';
import { diaryRig } from '../../../test/support/diary-rig.ts';
import { taskId } from '../../../test/support/stored-records.ts';
import { history, second, t0 } from '../../../test/support/task-history.ts';

const id = taskId(1);
const begun = history(id).accepted().dispatched(1).started(1, 'e-1');
const finished = begun.completed(1, 'e-1');

it('answers with payload and result from the log, and how fresh it is', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.append(...finished.records);
  await rig.caughtUp();
  expect(await rig.queries.get(id.toUpperCase())).toMatchObject({
    ...{ id, state: 'completed', payload: { to: 'ada@example.org' }, result: { sent: true } },
    asOf: { positions: { 0: 4 }, lagMs: 0 },
  });
});

it('finds a task that only the log knows, and goes on with one that the read model knows in part', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await projector.stop(1_000);
  await rig.append(...history(taskId(2)).accepted().records, ...begun.records);
  expect(await rig.queries.get(id)).toMatchObject({ state: 'running', asOf: { positions: { 0: 4 }, lagMs: 0 } });
  expect((await rig.queries.events(id, { limit: 10, skip: 0 })).items.map(({ offset }) => offset)).toEqual([1, 2, 3]);
  expect((await rig.queries.attempts(id)).items).toMatchObject([{ executionId: 'e-1' }]);
});

it('says that an id is not known only after it has looked to the end of the log', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await projector.stop(1_000);
  await rig.append(...begun.records, ...history(taskId(3)).dispatched(1).records);
  const notFound = { status: 404, code: 'task-not-found' };
  await expect(rig.queries.get(taskId(2))).rejects.toMatchObject(notFound);
  await expect(rig.queries.get(taskId(3))).rejects.toMatchObject(notFound);
  await expect(rig.queries.get('no-uuid')).rejects.toMatchObject(notFound);
});

it('says that the read model is behind, never that the id is unknown, when too much stands between', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await projector.stop(1_000);
  const { records } = history(taskId(2)).accepted();
  for (let chunk = 0; chunk < 51; chunk++) await Promise.all(Array.from({ length: 1_000 }, () => rig.append(...records)));
  await expect(rig.queries.get(id)).rejects.toMatchObject({ status: 503, code: 'read-model-behind', detail: expect.stringContaining('51000 records') });
});

it('answers 503 while the tables are gone', async () => {
  const rig = diaryRig();
  await rig.append(...begun.records);
  await expect(rig.queries.get(id)).rejects.toMatchObject({ status: 503, code: 'rebuilding', retryAfterSeconds: 1 });
  await expect(rig.queries.list({ q: '', cursor: null, limit: 1 })).rejects.toMatchObject({ status: 503, code: 'rebuilding' });
});

it('waits for the end of a task, and answers with what there is when the time is up', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.append(...begun.records);
  expect(await rig.queries.get(id, { waitMs: 30 })).toMatchObject({ state: 'running' });
  const waiting = rig.queries.get(id, { waitMs: 20_000 });
  await rig.append(...finished.records.slice(3));
  expect(await waiting).toMatchObject({ state: 'completed' });
});

it('tells how long the oldest unread record has been waiting', async () => {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...begun.records);
  await rig.caughtUp();
  await projector.stop(1_000);
  const [{ timestampMs } = { timestampMs: 0 }] = await rig.append(...finished.records.slice(3));
  const { asOf } = await rig.queries.get(id);
  expect(asOf.positions).toEqual({ 0: 3 });
  expect(asOf.time <= instantText(timestampMs)).toBe(true);
});

it('shows the task as it was after each of its events, and at an instant', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.append(...finished.records);
  await rig.caughtUp();
  const states = [];
  for (const events of [1, 2, 3, 4, 5]) states.push((await rig.queries.get(id, { moment: { events } })).state);
  expect(states).toEqual(['accepted', 'dispatched', 'running', 'completed', 'completed']);
  const past = await rig.queries.get(id, { moment: { events: 2 } });
  expect(past).not.toHaveProperty('result');
  expect(past.asOf).toMatchObject({ positions: { 0: 2 }, lagMs: 0 });
  await expect(rig.queries.get(id, { moment: { events: 0 } })).rejects.toMatchObject({ status: 404 });
  await expect(rig.queries.get(id, { moment: { instantMs: t0 - 1 } })).rejects.toMatchObject({ status: 404 });
  // The instant is the event's own time, as its history shows it: the event has happened by then.
  expect(await rig.queries.get(id, { moment: { instantMs: second(1) } })).toMatchObject({ state: 'dispatched' });
  expect(await rig.queries.get(id, { moment: { instantMs: second(2) - 1 } })).toMatchObject({ state: 'dispatched' });
  expect(await rig.queries.get(id, { moment: { instantMs: second(60) } })).toMatchObject({ state: 'completed' });
});

it('shows the events of an id that was never accepted, and no task', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.append(...history(id).cancellationRequested().records);
  await rig.caughtUp();
  const { items } = await rig.queries.events(id, { limit: 10, skip: 0 });
  expect(items).toMatchObject([{ type: 'TaskCancellationRequested', void: { code: 'unknown-task' } }]);
  await expect(rig.queries.get(id)).rejects.toMatchObject({ status: 404 });
});

it('says of every event what became of it', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.append(...finished.again().dispatched(1, { queue: 'other' }).started(2, 'e-2').garbage().records);
  await rig.caughtUp();
  const { items, next } = await rig.queries.events(id, { limit: 100, skip: 0 });
  expect(next).toBeNull();
  expect(items[0]).toMatchObject({ type: 'TaskAccepted', topic: 'task-lifecycle', partition: 0, offset: 0, data: { payload: { to: 'ada@example.org' } }, headers: { ce_subject: id } });
  expect(items[3]).toMatchObject({ type: 'TaskExecutionCompleted', attempt: 1 });
  expect(items.slice(0, 4).some((item) => item.void !== undefined || item.duplicateOf !== undefined)).toBe(false);
  expect(items.slice(4)).toMatchObject([
    { type: 'TaskExecutionCompleted', duplicateOf: 3 },
    { type: 'TaskDispatched', void: { code: 'dispatch-conflict' } },
    { type: 'TaskExecutionStarted', void: { code: 'no-such-attempt' } },
    { type: 'Unreadable', void: { code: 'unreadable' }, data: null },
  ]);
  const page = await rig.queries.events(id, { limit: 3, skip: 3 });
  expect([page.items, page.next]).toEqual([items.slice(3, 6), '6']);
});

it('pages through a list by cursors that hold to their filter', async () => {
  const rig = diaryRig();
  await rig.startProjector();
  await rig.append(...finished.records, ...history(taskId(2)).accepted().records, ...history(taskId(3)).rejected().records);
  await rig.caughtUp();
  const first = await rig.queries.list({ q: 'type:email.welcome', cursor: null, limit: 2 });
  expect(first.items).toHaveLength(2);
  expect(first.items[0]).not.toHaveProperty('payload');
  const second = await rig.queries.list({ q: 'type:email.welcome', cursor: String(first.next), limit: 2 });
  expect(second.next).toBeNull();
  expect([...first.items, ...second.items].map((item) => item.id).sort()).toEqual([taskId(1), taskId(2), taskId(3)]);
  const stolen = rig.queries.list({ q: 'state:failed', cursor: String(first.next), limit: 2 });
  await expect(stolen).rejects.toMatchObject({ status: 400, code: 'invalid-cursor' });
  await expect(rig.queries.list({ q: '', cursor: 'nonsense', limit: 2 })).rejects.toMatchObject({ status: 400, code: 'invalid-cursor' });
});

it('gives raw records as they are, and says where to go on', async () => {
  const rig = diaryRig();
  const positions = await rig.append(...finished.records, { key: '', headers: [['x', 'ä']], value: new Uint8Array([255, 0]) });
  const page = await rig.queries.log({ partition: 0, offset: 3, limit: 10 });
  expect(page).toMatchObject({ next: null, asOf: { positions: { 0: 5 }, lagMs: 0 } });
  expect(page.items[1]).toEqual({
    ...{ topic: 'task-lifecycle', partition: 0, offset: 4, timestamp: instantText(positions[4]?.timestampMs ?? 0) },
    ...{ key: '', headers: { x: 'ä' }, value: '/wA=' },
  });
  expect(Buffer.from(page.items[0]?.key ?? '', 'base64').toString()).toBe(id);
  expect(await rig.queries.log({ partition: 0, offset: 0, limit: 2 })).toMatchObject({ next: 2, items: [{ offset: 0 }, { offset: 1 }] });
  expect(await rig.queries.log({ partition: 0, offset: 99, limit: 2 })).toMatchObject({ next: null, items: [] });
  await expect(rig.queries.log({ partition: 1, offset: 0, limit: 2 })).rejects.toMatchObject({ status: 400, code: 'invalid-parameter' });
});

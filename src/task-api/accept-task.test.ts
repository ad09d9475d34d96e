import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../event-producer/event-id.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { openTaskApi } from '../../test/support/api-edge.ts';
import type { AcceptedTask, AcceptResult, Submission } from './accept-task.ts';

const request = { type: 'file.checksum', payload: { path: '/etc/hosts' } };

function submission(more: Partial<Submission> = {}): Submission {
  return { request, submitter: 'anonymous', client: 'test', ...more };
}

function accepted(result: AcceptResult): AcceptedTask {
  if (result.type !== 'accepted') throw new Error(`expected accepted, got ${JSON.stringify(result)}`);
  return result;
}

describe('accepting a task', () => {
  it('gives a receipt that the record in the log confirms', async () => {
    const { acceptTask, events, records } = openTaskApi();
    const { id, receipt } = accepted(await acceptTask.accept(submission()));
    const [event] = await events();
    const [record] = await records();
    expect(event).toMatchObject({ type: 'TaskAccepted', taskId: id, id: receipt.eventId, taskType: 'file.checksum', taskTypeVersion: 1 });
    expect(receipt).toEqual({ eventId: event?.id, topic: 'task-lifecycle', partition: 0, offset: 0, sha256: sha256Hex(record?.value ?? ''), acceptedAt: new Date(event?.timeMs ?? 0).toISOString() });
  });

  it('records the payload as it was sent, not as the schema returns it', async () => {
    const { acceptTask, events } = openTaskApi();
    await acceptTask.accept(submission({ request: { type: 'file.checksum', payload: { path: 'a', unknownToTheSchema: 1 } } }));
    expect((await events())[0]?.data).toMatchObject({ payload: { path: 'a', unknownToTheSchema: 1 } });
  });

  it('carries the trace of its caller in the record, refused or not, and not in the value', async () => {
    const { acceptTask, events } = openTaskApi();
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const traced = accepted(await acceptTask.accept(submission({ trace: { traceparent }, idempotencyKey: 'k' })));
    await acceptTask.accept(submission({ trace: { traceparent }, request: { type: 'not.known', payload: null } }));
    const untraced = openTaskApi();
    expect(accepted(await untraced.acceptTask.accept(submission({ idempotencyKey: 'k' }))).receipt.sha256).toBe(traced.receipt.sha256);
    expect((await events()).map((event) => [event.type, 'traceparent' in event && event.traceparent])).toEqual([['TaskAccepted', traceparent], ['TaskRejected', traceparent]]);
  });

  it('records the version that the payload was written for', async () => {
    const { acceptTask, events } = openTaskApi();
    await acceptTask.accept(submission({ request: { type: 'any.thing', version: 1, payload: null } }));
    await acceptTask.accept(submission({ request: { type: 'any.thing', payload: null } }));
    expect((await events()).map(({ taskTypeVersion }) => taskTypeVersion)).toEqual([1, 2]);
  });
});

describe('an idempotency key', () => {
  it('makes 50 parallel submissions one TaskAccepted, with one receipt for all', async () => {
    const { acceptTask, events } = openTaskApi();
    const results = await Promise.all(Array.from({ length: 50 }, () => acceptTask.accept(submission({ idempotencyKey: 'k-1' }))));
    expect(new Set(results.map((result) => JSON.stringify(accepted(result).receipt))).size).toBe(1);
    expect(results.filter((result) => !accepted(result).replayed)).toHaveLength(1);
    expect(await events()).toHaveLength(1);
  });

  it('gives the first receipt again, however the members are ordered', async () => {
    const { acceptTask } = openTaskApi();
    const first = accepted(await acceptTask.accept(submission({ idempotencyKey: 'k' })));
    const again = await acceptTask.accept(submission({ idempotencyKey: 'k', request: { payload: { path: '/etc/hosts' }, type: 'file.checksum' } }));
    expect(again).toEqual({ ...first, replayed: true });
  });

  it('refuses other content, and records nothing of it', async () => {
    const { acceptTask, events } = openTaskApi();
    await acceptTask.accept(submission({ idempotencyKey: 'k' }));
    const other = await acceptTask.accept(submission({ idempotencyKey: 'k', request: { ...request, payload: { path: 'other' } } }));
    expect(other).toMatchObject({ type: 'refused', status: 422, code: 'idempotency-mismatch' });
    expect(await events()).toHaveLength(1);
  });

  it('stays bound to its request after a failed append, and the next try appends', async () => {
    const { acceptTask, appender, events } = openTaskApi();
    appender.fault = 'log-unavailable';
    const failures = await Promise.all([1, 2, 3].map(() => acceptTask.accept(submission({ idempotencyKey: 'k' }))));
    expect(failures.map(({ type }) => type)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    expect(appender.calls).toBe(1);
    appender.fault = null;
    expect(await acceptTask.accept(submission({ idempotencyKey: 'k', request: { ...request, payload: { path: 'other' } } }))).toMatchObject({ code: 'idempotency-mismatch' });
    expect(await acceptTask.accept(submission({ idempotencyKey: 'k' }))).toMatchObject({ type: 'accepted', replayed: false });
    expect(await events()).toHaveLength(1);
  });

  it('is forgotten, the oldest first, beyond the capacity: the same task is then recorded again', async () => {
    const { acceptTask, events } = openTaskApi({ recentKeys: 2 });
    const first = accepted(await acceptTask.accept(submission({ idempotencyKey: 'a' })));
    await acceptTask.accept(submission({ idempotencyKey: 'b' }));
    await acceptTask.accept(submission({ idempotencyKey: 'c' }));
    const again = accepted(await acceptTask.accept(submission({ idempotencyKey: 'a' })));
    expect(again).toMatchObject({ id: first.id, replayed: false });
    expect(again.receipt).toMatchObject({ eventId: first.receipt.eventId, sha256: first.receipt.sha256, offset: 3 });
    expect(await events()).toHaveLength(4);
  });

  it.each(['', 'x'.repeat(256), 'a\nb', 'clé'])('must be 1 to 255 printable characters: %j is refused', async (idempotencyKey) => {
    const { acceptTask, events } = openTaskApi();
    expect(await acceptTask.accept(submission({ idempotencyKey }))).toMatchObject({ status: 400, code: 'invalid-request' });
    expect(await events()).toEqual([]);
  });
});

describe('a rejection', () => {
  it('is a record of its own with places and rules, and never a value', async () => {
    const { acceptTask, events, records } = openTaskApi();
    const secret = 'value-that-must-not-be-recorded';
    const result = await acceptTask.accept(submission({ request: { type: 'file.checksum', payload: { path: [secret] } } }));
    const [event] = await events();
    expect(result).toMatchObject({ type: 'refused', status: 422, code: 'payload-invalid', id: event?.taskId, errors: [{ pointer: '/payload/path' }] });
    expect(event).toMatchObject({ type: 'TaskRejected', taskType: 'file.checksum', taskTypeVersion: 1 });
    expect(event?.data).toEqual({ code: 'payload-invalid', violations: [{ pointer: '/payload/path', rule: 'invalid_type: expected string' }] });
    expect(Buffer.from((await records())[0]?.value ?? '').toString()).not.toContain(secret);
  });

  it('names the rule in words of its own where the schema repeats the value', async () => {
    const { acceptTask, events } = openTaskApi();
    const result = await acceptTask.accept(submission({ request: { type: 'talk.ative', payload: '4111' } }));
    expect(result).toMatchObject({ errors: [{ pointer: '/payload/card/0', detail: 'wrong: "4111"' }] });
    expect((await events())[0]?.data).toEqual({ code: 'payload-invalid', violations: [{ pointer: '/payload/card/0', rule: 'must fit the schema' }] });
  });

  it('has no version where none is known', async () => {
    const { acceptTask, events } = openTaskApi();
    expect(await acceptTask.accept(submission({ request: { type: 'file.cheksum', payload: {} } }))).toMatchObject({ status: 404, code: 'unknown-type', detail: expect.stringContaining('file.checksum') as string });
    expect(await acceptTask.accept(submission({ request: { ...request, version: 9 } }))).toMatchObject({ status: 404, code: 'unknown-type' });
    expect((await events()).map(({ taskType, taskTypeVersion }) => [taskType, taskTypeVersion])).toEqual([
      ['file.cheksum', null],
      ['file.checksum', null],
    ]);
  });

  it('is not confirmed while the log cannot record it', async () => {
    const { acceptTask, appender } = openTaskApi();
    appender.fault = 'log-unavailable';
    expect(await acceptTask.accept(submission({ request: { type: 'nobody', payload: 1 } }))).toMatchObject({ type: 'unavailable' });
  });

  it('is recorded ten times a second for each client; beyond, the answer has no id and is counted', async () => {
    const clock = new ManualClock();
    const { acceptTask, events } = openTaskApi({ clock, rejectionsPerSecond: 10 });
    const reject = (client: string) => acceptTask.accept(submission({ client, request: { type: 'nobody', payload: 1 } }));
    const ids = async (client: string, times: number) => {
      const results = await Promise.all(Array.from({ length: times }, () => reject(client)));
      return results.filter((result) => result.type === 'refused' && result.id !== undefined).length;
    };
    expect(await ids('one', 15)).toBe(10);
    expect(await ids('other', 1)).toBe(1);
    clock.advance(500);
    expect(await ids('one', 15)).toBe(5);
    expect(acceptTask.counts.rejectionsNotRecorded).toBe(15);
    expect(await events()).toHaveLength(16);
  });
});

it('refuses a record that the log will never take as too large', async () => {
  const { acceptTask, appender } = openTaskApi();
  appender.fault = 'log-rejected';
  expect(await acceptTask.accept(submission())).toMatchObject({ status: 413, code: 'payload-too-large' });
});

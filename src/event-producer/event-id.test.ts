import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventsOf } from '../../test/support/arbitrary-events.ts';
import { encodeValue } from '../domain/event-codec.ts';
import { taskEventTypes, type TaskEventData, type TaskEventType } from '../domain/task-events.ts';
import { childTaskId, derivedId, eventId, sha256Hex, taskIdForKey } from './event-id.ts';

const task = '01941f29-7c00-7000-8000-000000000001';
const causeId = '6a2f41a3-c54c-fce8-32d2-0324e1c32e22';
const error = { name: 'Error', message: 'x', code: null, retryable: true, fingerprint: 'f00d' };
const started = { issue: 1, queue: 'default', workerId: 'w', handlerVersion: 1, redelivered: false, guarded: true };
const policy = { maxAttempts: 3, backoff: 'exponential', baseMs: 1_000, maxMs: 300_000 } as const;
const request = { requestId: 'request-1', reason: 'r', by: 'ada' };
const digest = '015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862';

/**
 * Computed with another implementation of RFC 9562 (Python's uuid.uuid5, namespace
 * 485cfe1c-3e93-4940-ba20-e56b15407a61) over exactly the text in the middle.
 */
const vectors = [
  vector('TaskAccepted', {} as never, `["${task}","TaskAccepted","${digest}"]`, 'ba358781-44e6-5946-ae54-b0987d6d99bd'),
  vector('TaskRejected', { code: 'x', violations: [] }, `["${task}","TaskRejected"]`, '755ab123-e539-582e-9cff-52e5ff1020cb'),
  vector('TaskDispatched', { attempt: 1, issue: 2, queue: 'heavy', reason: 'presumed lost' }, `["${task}","TaskDispatched",1,2,"heavy"]`, '59d3d574-1223-5f00-8dcc-a83fb761e1a3'),
  vector('TaskExecutionStarted', { attempt: 1, executionId: 'e-ü', ...started }, `["${task}","TaskExecutionStarted",1,"e-ü"]`, 'a98aa54a-dc84-5c6b-95eb-9b3651abbef9'),
  vector('TaskExecutionProgressed', { attempt: 1, executionId: 'e1', sequence: 3, fraction: 0.5 }, `["${task}","TaskExecutionProgressed",1,"e1",3]`, 'f6abb925-d811-5bef-a6e4-31054afe1d34'),
  vector('TaskExecutionCompleted', { attempt: 1, executionId: 'e1', workerId: 'w', result: 1, durationMs: 1 }, `["${task}","TaskExecutionCompleted",1,"e1"]`, 'c5360c71-79e1-5660-8d96-29a33a4b9dca'),
  vector('TaskExecutionFailed', { attempt: 1, executionId: 'e1', workerId: 'w', error, cause: 'handler', durationMs: 1 }, `["${task}","TaskExecutionFailed",1,"e1","handler"]`, '4642ef61-9eb6-542a-b71c-8b10a5a60828'),
  vector('TaskExecutionFailed', { attempt: 1, error, cause: 'unknown-type' }, `["${task}","TaskExecutionFailed",1,null,"unknown-type"]`, '0375ef86-e43f-52c0-acdf-cb6a6a2a5ba1'),
  vector('TaskRetryRequested', request, `["${task}","TaskRetryRequested","request-1"]`, 'fe31662c-418e-5d34-992e-12e882b9bec7'),
  vector('TaskRetryScheduled', { attempt: 2, dueAtMs: 5, reason: 'failed', policy }, `["${task}","TaskRetryScheduled",2,"failed","${causeId}"]`, '06da3aea-a616-5639-be3e-cc857049d518', 2),
  vector('TaskRetryScheduled', { attempt: 2, dueAtMs: 5, reason: 'operator', policy }, `["${task}","TaskRetryScheduled",2,"operator","${causeId}"]`, '849f289b-5333-568c-864f-522b7528986c', 2),
  vector('TaskCancellationRequested', request, `["${task}","TaskCancellationRequested","request-1"]`, '331923b2-0e0a-58f8-83e5-a3c0a024649d'),
  vector('TaskCancelled', { reason: 'not "needed"\n' }, `["${task}","TaskCancelled",0,"not \\"needed\\"\\n","${causeId}"]`, 'e790a244-0ebe-5249-a2c1-025dccdcb493', 0),
  vector('TaskFailedPermanently', { reason: 'attempts-exhausted', attempts: 3 }, `["${task}","TaskFailedPermanently",3,"attempts-exhausted","${causeId}"]`, '40c45322-6f7e-5730-8e30-2619f429e9f0', 3),
];

const value = new TextEncoder().encode('{"a":1}');

describe('the id of an event', () => {
  it.each(vectors)('of $type is UUIDv5 of $text', ({ type, data, text, id, cause }) => {
    expect(eventId(type, task, data, value, cause)).toBe(id);
    expect(derivedId(JSON.parse(text) as string[])).toBe(id);
  });

  it('has a vector for each of the twelve types', () => {
    expect([...new Set(vectors.map(({ type }) => type))].sort()).toEqual([...taskEventTypes].sort());
  });

  it('of TaskAccepted covers the value: another payload gives another id', () => {
    const other = new TextEncoder().encode('{"a":2}');
    expect(eventId('TaskAccepted', task, {} as never, other, undefined)).not.toBe(eventId('TaskAccepted', task, {} as never, value, undefined));
  });

  it.each(['TaskRetryScheduled', 'TaskCancelled', 'TaskFailedPermanently'] as const)('of %s needs the event that caused it', (type) => {
    expect(() => eventId(type, task, { reason: 'x' } as never, value, undefined)).toThrow(`${type} needs the event that caused it`);
  });

  it.each(taskEventTypes)('of %s is the same from the same data, and another one for another task', (type) => {
    fc.assert(
      fc.property(eventsOf(type), (event) => {
        const bytes = encodeValue(event.type, event, event.data);
        const cause = { attempt: 1, eventId: causeId };
        const id = eventId(event.type, event.taskId, event.data, bytes, cause);
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(eventId(event.type, event.taskId, structuredClone(event.data), bytes.slice(), { ...cause })).toBe(id);
        expect(eventId(event.type, 'task-2', event.data, bytes, cause)).not.toBe(id);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the id of a task', () => {
  it('of an idempotency key is UUIDv5 of ["default","order-4711"]', () => {
    expect(taskIdForKey('default', 'order-4711')).toBe('a665b76b-0ebb-52b3-ada2-913ccb92c718');
  });

  it('of a child is UUIDv5 of parent, "child" and key', () => {
    expect(childTaskId(task, 'step-1')).toBe('f0621ac3-5410-51eb-9ab8-91f5036c38dd');
  });

  it('keeps tenants and keys apart, however they are cut', () => {
    expect(taskIdForKey('a', 'b","c')).not.toBe(taskIdForKey('a","b', 'c'));
  });
});

it('digests text as its UTF-8 bytes, in lower-case hex', () => {
  expect(sha256Hex('ü')).toBe(createHash('sha256').update(Buffer.from([0xc3, 0xbc])).digest('hex'));
  expect(sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

function vector<Type extends TaskEventType>(type: Type, data: TaskEventData[Type], text: string, id: string, attempt?: number) {
  const cause = attempt === undefined ? undefined : { attempt, eventId: causeId };
  return { type: type as TaskEventType, data: data as TaskEventData[TaskEventType], text, id, cause };
}

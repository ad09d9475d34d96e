import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventsOf, jsonValues } from '../../test/support/arbitrary-events.ts';
import { history, second, t0 } from '../../test/support/task-history.ts';
import { walks } from '../../test/support/task-walk.ts';
import { decide, defaultDispatchPolicy } from './dispatch-policy.ts';
import { decodeEvent, encodeEvent, encodeValue } from './event-codec.ts';
import { evolve, fold } from './evolve.ts';
import { latestInstantMs } from './instant.ts';
import { judge } from './judgement.ts';
import type { JsonObject } from './json.ts';
import type { LogRecord } from './log-record.ts';
import { schemaVersions, taskEventTypes, type DecodedRecord, type TaskEvent, type TaskEventOf, type TaskEventType } from './task-events.ts';
import { initialState } from './task-state.ts';

const runs = { numRuns: 1_000 };
const slow = { timeout: 60_000 };
const accepted = history().accepted().records[0]!;

describe('a record', () => {
  it('carries the CloudEvents headers, each once, in binary mode', () => {
    expect(Object.fromEntries(accepted.headers)).toEqual({
      ce_specversion: '1.0',
      ce_id: history().accepted().lastId,
      ce_source: '/daybook/test/1',
      ce_type: 'TaskAccepted',
      ce_time: '2026-01-01T09:00:00.000Z',
      ce_subject: 'task-1',
      ce_dataschema: '/schemas/TaskAccepted/1',
      ce_tenant: 'default',
      'content-type': 'application/json',
    });
    expect(accepted.headers).toHaveLength(9);
    expect(accepted.key).toBe('task-1');
  });

  it('carries traceparent as a plain header when there is one', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { type, id, taskId, timeMs, source, tenant, taskType, taskTypeVersion } = history().accepted().last as TaskEvent;
    const record = encodeEvent({ type, id, taskId, timeMs, source, tenant, taskType, taskTypeVersion, traceparent }, accepted.value);
    expect(record.headers.at(-1)).toEqual(['traceparent', traceparent]);
    expect(decodeEvent(record)).toMatchObject({ traceparent });
  });

  it.each([
    [
      'TaskAccepted',
      history().accepted({ options: { notBeforeMs: second(7), expiresInMs: 9_000 }, retry: { maxAttempts: 2, backoff: 'fixed', baseMs: 5, maxMs: 6 } }),
      '{"options":{"expiresInMs":9000,"notBefore":"2026-01-01T09:00:07.000Z"},"payload":{"to":"ada@example.org"},"requestDigest":"digest-1",' +
        '"retry":{"backoff":"fixed","baseMs":5,"maxAttempts":2,"maxMs":6},"submitter":"anonymous","taskId":"task-1","timeoutMs":30000,' +
        '"type":"email.welcome","typeVersion":1}',
    ],
    [
      'TaskRetryScheduled',
      history().retryScheduled(2, { dueAtMs: second(1), policy: { maxAttempts: 2, backoff: 'fixed', baseMs: 5, maxMs: 6 } }),
      '{"attempt":2,"dueAt":"2026-01-01T09:00:01.000Z","policy":{"backoff":"fixed","baseMs":5,"maxAttempts":2,"maxMs":6},"reason":"failed",' +
        '"taskId":"task-1","type":"email.welcome","typeVersion":1}',
    ],
    ['TaskRetryRequested', history().retryRequested(), '{"by":"ada","reason":"not needed any more","requestId":"request-1","taskId":"task-1"}'],
    [
      'TaskDispatched',
      history().dispatched(1),
      '{"attempt":1,"issue":1,"queue":"default","taskId":"task-1","type":"email.welcome","typeVersion":1}',
    ],
  ] as const)('of %s has the task, its type and the data as canonical JSON', (_type, events, text) => {
    expect(new TextDecoder().decode(events.records[0]!.value)).toBe(text);
  });

  it('writes a type version that is not known as null', () => {
    const value = encodeValue('TaskCancelled', { taskId: 'task-1', taskType: 'a', taskTypeVersion: null }, { reason: 'x' });
    expect(new TextDecoder().decode(value)).toContain('"typeVersion":null');
    expect(decodeEvent({ ...history().cancelled().records[0]!, value })).toMatchObject({ taskTypeVersion: null });
  });
});

describe('encode, then decode', slow, () => {
  it.each(taskEventTypes)('gives back any %s', (type) => {
    fc.assert(
      fc.property(eventsOf(type), (event) => {
        const decoded = decodeEvent(encode(event));
        expect(JSON.stringify(sortedDeep(decoded))).toBe(JSON.stringify(sortedDeep(event)));
      }),
      runs,
    );
  });
});

describe('decodeEvent takes anything and never throws', slow, () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  const headerValues = fc.oneof(fc.string(), fc.constantFrom('1.0', 'TaskAccepted', '2026-01-01T09:00:00Z', 'task-1', '/schemas/TaskAccepted/1'));
  const headers = fc.array(fc.tuple(fc.oneof(fc.string(), fc.constantFrom(...accepted.headers.map(([name]) => name))), headerValues));

  it('arbitrary keys, headers and bytes', () => {
    fc.assert(
      fc.property(fc.option(fc.string()), headers, bytes, (key, names, value) => {
        const record = { partition: 0, offset: 0, timestampMs: 0, key, headers: names, value };
        expect(decodeEvent(record)).toMatchObject({ type: 'Unreadable', freezes: false });
      }),
      runs,
    );
  });

  it('arbitrary bytes under a sound envelope', () => {
    fc.assert(
      fc.property(bytes, fc.constantFrom(...taskEventTypes), (value, type) => {
        expect(decodeEvent({ ...envelopeOf(type), value })).toMatchObject({ type: 'Unreadable', reason: 'malformed' });
      }),
      runs,
    );
  });

  it('a sound event with one header or one member replaced or removed, and whatever comes of it folds and decides', () => {
    const samples = taskEventTypes.map((type) => eventsOf(type).map(encode));
    const damage = fc.record({ which: fc.nat(), header: fc.boolean(), text: fc.option(headerValues), json: fc.option(jsonValues, { nil: undefined }) });
    fc.assert(
      fc.property(walks, fc.oneof(...samples), damage, ({ events, nowMs }, record, { which, header, text, json }) => {
        const damaged = header ? withHeader(record, which, text) : withMember(record, which, json);
        expectSoundOutcome(events.state, decodeEvent(damaged), nowMs);
      }),
      { numRuns: 2_000 },
    );
  });

  it('JSON of any shape as the data of any event', () => {
    fc.assert(
      fc.property(fc.constantFrom(...taskEventTypes), fc.dictionary(fc.constantFrom('taskId', 'attempt', 'error', 'options', 'retry', 'tags', '__proto__'), jsonValues), (type, value) => {
        const decoded = decodeEvent({ ...envelopeOf(type), value: new TextEncoder().encode(JSON.stringify({ ...value, taskId: 'task-1', type: 'a' })) });
        expectSoundOutcome(initialState('task-1'), decoded, t0);
      }),
      runs,
    );
  });

  it('any policy and any failure: the retry that follows can be recorded and counts', () => {
    const failures = eventsOf('TaskExecutionFailed').map((event) => {
      const { data } = event as TaskEventOf<'TaskExecutionFailed'>;
      return { ...event, id: 'failure', data: { ...data, attempt: 1, error: { ...data.error, retryable: true } } } as TaskEvent;
    });
    fc.assert(
      fc.property(eventsOf('TaskAccepted'), failures, (accepting, failing) => {
        const state = fold('task-1', [{ ...accepting, id: 'acceptance' }, failing]);
        expect(state.attempts[0]?.failure).not.toBeNull();
        expectRecordable(state, failing.timeMs);
      }),
      runs,
    );
  });

  it('any sound events in any order', () => {
    const events = fc.array(fc.oneof(...taskEventTypes.map(eventsOf)), { maxLength: 25, size: 'max' });
    fc.assert(
      fc.property(events, fc.integer({ min: t0, max: latestInstantMs }), (log, nowMs) => {
        const state = fold('task-1', log);
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        expectRecordable(state, nowMs);
      }),
      runs,
    );
  });
});

describe('an unreadable record says why, without values', () => {
  const long = 'x'.repeat(513);
  const changedValue = (record: LogRecord, change: (value: Record<string, unknown>) => unknown): LogRecord => ({
    ...record,
    value: new TextEncoder().encode(JSON.stringify(change(JSON.parse(new TextDecoder().decode(record.value)) as Record<string, unknown>))),
  });
  const ofAccepted = (data: object) => changedValue(accepted, (value) => ({ ...value, ...data }));
  const failedWith = (fingerprint: string) =>
    changedValue(history().failed(1, null).records[0]!, (value) => ({ ...value, error: { ...(value.error as object), fingerprint } }));
  const changed = (name: string, value: string | null): LogRecord => withHeaderNamed(accepted, name, value);
  it.each([
    ['a header twice', { ...accepted, headers: [...accepted.headers, ['ce_id', 'x'] as const] }, 'a header stands twice'],
    ['another specversion', changed('ce_specversion', '0.3'), 'ce_specversion must be 1.0'],
    ['no id', changed('ce_id', null), 'ce_id is missing'],
    ['no source', changed('ce_source', null), 'ce_source is missing'],
    ['no type', changed('ce_type', null), 'ce_type is missing'],
    ['no time', changed('ce_time', null), 'ce_time must be an RFC 3339 instant'],
    ['a time without a zone', changed('ce_time', '2026-01-01T09:00:00'), 'ce_time must be an RFC 3339 instant'],
    ['another subject than the key', changed('ce_subject', 'task-2'), 'ce_subject must be the task id, equal to the key'],
    ['no key', { ...accepted, key: null }, 'ce_subject must be the task id, equal to the key'],
    ['a schema of another type', changed('ce_dataschema', '/schemas/TaskCancelled/1'), 'ce_dataschema must be /schemas/<ce_type>/<version>'],
    ['a schema version 0', changed('ce_dataschema', '/schemas/TaskAccepted/0'), 'ce_dataschema must be /schemas/<ce_type>/<version>'],
    ['another task in the value', withText('{"taskId":"task-2"}'), 'taskId must equal the key'],
    ['a value that is no object', withText('[]'), 'value must be an object'],
    ['a value that is no JSON', withText('secret'), 'value must be UTF-8 JSON'],
    ['a value that is no UTF-8', { ...accepted, value: Uint8Array.of(0x22, 0xff, 0x22) }, 'value must be UTF-8 JSON'],
    ['a task id that no index takes', { ...changed('ce_subject', long), key: long }, 'ce_subject must be at most 512 characters'],
    ['a type that no index takes', withText(`{"taskId":"task-1","type":"${long}","typeVersion":1}`), 'type must be at most 512 characters'],
    ['a batch that no index takes', ofAccepted({ batch: long }), 'batch must be at most 512 characters'],
    ['a tag that no index takes', ofAccepted({ tags: { a: long } }), 'tags must have names and values of at most 256 characters'],
    ['a fingerprint that no index takes', failedWith(long), 'fingerprint must be at most 512 characters'],
    ['a missing member', withText('{"taskId":"task-1","type":"a","typeVersion":1}'), 'payload is missing'],
  ] as const)('%s', (_name, record, detail) => {
    expect(decodeEvent({ partition: 0, offset: 0, timestampMs: 0, ...record })).toMatchObject({ type: 'Unreadable', reason: 'malformed', detail, freezes: false });
  });

  it('takes a foreign name such as constructor for an unknown event type', () => {
    const record = withHeaderNamed(changed('ce_type', 'constructor'), 'ce_dataschema', '/schemas/constructor/1');
    expect(decodeEvent(record)).toMatchObject({ reason: 'unknown-event-type', freezes: true });
  });

  it('leaves out members that it does not know: a newer build may have added them', () => {
    const value = JSON.parse(new TextDecoder().decode(accepted.value)) as JsonObject;
    const extended = withText(JSON.stringify({ ...value, colour: 'red' }));
    expect(decodeEvent(extended)).toEqual(decodeEvent(accepted));
  });
});

describe('versions and upcasters', () => {
  // An invented version 2 of TaskCancelled calls the reason `why`; version 3 wraps it in an object.
  const versions = { ...schemaVersions, TaskCancelled: 3 };
  const upcasters = {
    TaskCancelled: {
      1: ({ reason, ...rest }: JsonObject): JsonObject => ({ ...rest, why: reason ?? '' }),
      2: ({ why, ...rest }: JsonObject): JsonObject => ({ ...rest, reason: `${String(why)} (upcast)` }),
    },
  };
  const version1 = history().cancelled().records[0]!;
  const version2 = withHeaderNamed(withText('{"taskId":"task-1","type":"a","typeVersion":1,"why":"late"}', version1), 'ce_dataschema', '/schemas/TaskCancelled/2');

  it('takes an older version through every step', () => {
    expect(decodeEvent(version1, upcasters, versions)).toMatchObject({ type: 'TaskCancelled', data: { reason: 'not needed any more (upcast)' } });
  });
  it('takes a version in between through the steps that are left', () => {
    expect(decodeEvent(version2, upcasters, versions)).toMatchObject({ type: 'TaskCancelled', data: { reason: 'late (upcast)' } });
  });
  it('reads the present version as it is', () => {
    const version3 = withHeaderNamed(version1, 'ce_dataschema', '/schemas/TaskCancelled/3');
    expect(decodeEvent(version3, upcasters, versions)).toMatchObject({ data: { reason: 'not needed any more' } });
  });
  it('freezes the task at a newer version', () => {
    expect(decodeEvent(version2)).toMatchObject({ reason: 'newer-schema-version', freezes: true });
  });
  it('freezes the task at an older version that no upcaster reaches', () => {
    expect(decodeEvent(version1, { TaskCancelled: { 2: upcasters.TaskCancelled[2] } }, versions)).toMatchObject({
      reason: 'older-schema-version',
      freezes: true,
    });
  });
  it('takes data that makes an upcaster throw for garbage', () => {
    const failing = { TaskCancelled: { ...upcasters.TaskCancelled, 1: () => { throw new TypeError('secret'); } } };
    expect(decodeEvent(version1, failing, versions)).toMatchObject({
      reason: 'malformed',
      detail: 'the data of TaskCancelled version 1 cannot be read',
      freezes: false,
    });
  });
});

function encode(event: TaskEvent): LogRecord {
  return encodeEvent(event, encodeValue(event.type, event, event.data));
}

/** The sample record of a type, whose envelope is sound. */
function envelopeOf(type: TaskEventType): LogRecord {
  const headers = accepted.headers.map(([name, value]) => [name, value.replace('TaskAccepted', type)] as const);
  return { ...accepted, headers };
}

function withHeader(record: LogRecord, which: number, value: string | null): LogRecord {
  const name = record.headers[which % record.headers.length]?.[0] ?? '';
  return withHeaderNamed(record, name, value);
}

function withHeaderNamed(record: LogRecord, name: string, value: string | null): LogRecord {
  const headers = record.headers.flatMap((header) => (header[0] !== name ? [header] : value === null ? [] : [[name, value] as const]));
  return { ...record, headers };
}

function withMember(record: LogRecord, which: number, json: JsonObject[string]): LogRecord {
  const value = JSON.parse(new TextDecoder().decode(record.value)) as Record<string, unknown>;
  const names = Object.keys(value);
  value[names[which % names.length] ?? ''] = json;
  return withText(JSON.stringify(value), record);
}

function withText(text: string, record = accepted): LogRecord {
  return { ...record, value: new TextEncoder().encode(text) };
}

/** Whatever was decoded, the state after it is plain JSON, and what is decided on it can be recorded and counts. */
function expectSoundOutcome(before: ReturnType<typeof initialState>, decoded: DecodedRecord, nowMs: number): void {
  expect(judge(before, decoded).kind).toMatch(/^(valid|duplicate|repeat|void)$/);
  const state = evolve(before, decoded);
  expect(JSON.parse(JSON.stringify(state))).toEqual(state);
  expectRecordable(state, nowMs);
}

function expectRecordable(state: ReturnType<typeof initialState>, nowMs: number): void {
  for (const decision of decide(state, defaultDispatchPolicy, nowMs)) {
    if (decision.type === 'WakeAt') continue;
    const { last } = history().decided(decision);
    expect(judge(state, last)).toEqual({ kind: 'valid' });
  }
}

function sortedDeep(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedDeep);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, member]) => [name, sortedDeep(member)]);
}

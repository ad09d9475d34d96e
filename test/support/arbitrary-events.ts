import fc from 'fast-check';
import type { JsonValue } from '../../src/domain/json.ts';
import { latestInstantMs } from '../../src/domain/instant.ts';
import type { RetryPolicy } from '../../src/domain/retry-schedule.ts';
import {
  failureCauses,
  permanentFailureReasons,
  retryReasons,
  type TaskEvent,
  type TaskEventData,
  type TaskEventType,
} from '../../src/domain/task-events.ts';

/*
 * Events of every type with any data that the types allow: texts with lone surrogates and NUL, numbers up to the
 * limits, payloads of any shape. For the laws of the codec, not of the lifecycle.
 */

/** Any JSON value as `JSON.parse` gives it: without -0, which JSON text cannot keep apart from 0. */
export const jsonValues: fc.Arbitrary<JsonValue> = fc
  .jsonValue({ maxDepth: 4 })
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonValue);

export const texts = fc.string({ unit: fc.oneof(fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)), fc.constantFrom('a', 'b')) });
const names = fc.constantFrom('default', 'heavy', 'e1', 'e2', 'worker-1');
const counts = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.maxSafeNat().map((number) => Math.max(1, number)));
const fractions = fc.double({ min: 0, max: 1, noNaN: true }).map((fraction) => fraction + 0);
const amounts = fc.oneof(fc.nat({ max: 10_000 }), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })).map((amount) => amount + 0);
export const instants = fc.integer({ min: Date.UTC(0, 0, 1), max: latestInstantMs });
const flags = fc.boolean();

export const retryPolicies: fc.Arbitrary<RetryPolicy> = fc.record({
  maxAttempts: counts,
  backoff: fc.constantFrom('exponential' as const, 'fixed' as const),
  baseMs: amounts,
  maxMs: amounts,
});

type DataOf = { readonly [Type in TaskEventType]: fc.Arbitrary<TaskEventData[Type]> };

/** Members that may be absent are absent now and then: `undefined` never stands in their place. */
function record<Value>(all: { [Name in keyof Value]: fc.Arbitrary<Value[Name]> }, optional: ReadonlyArray<keyof Value> = []): fc.Arbitrary<Value> {
  const requiredKeys = (Object.keys(all) as Array<keyof Value>).filter((name) => !optional.includes(name));
  return fc.record(all, { requiredKeys }) as fc.Arbitrary<Value>;
}

const request = record<TaskEventData['TaskRetryRequested']>({ requestId: texts, reason: texts, by: texts });

const options = record<Required<TaskEventData['TaskAccepted']['options']>>(
  {
    queue: names,
    priority: fc.nat({ max: 9 }),
    notBeforeMs: instants,
    delayMs: amounts,
    expiresAtMs: instants,
    expiresInMs: amounts,
    concurrencyKey: texts,
  },
  ['queue', 'priority', 'notBeforeMs', 'delayMs', 'expiresAtMs', 'expiresInMs', 'concurrencyKey'],
);

const error = record<Required<TaskEventData['TaskExecutionFailed']['error']>>(
  { name: texts, message: texts, code: fc.option(texts), retryable: flags, retryAfterMs: amounts, fingerprint: texts, stack: texts },
  ['retryAfterMs', 'stack'],
);

const dataOf: DataOf = {
  TaskAccepted: record<Required<TaskEventData['TaskAccepted']>>(
    {
      payload: jsonValues,
      options,
      retry: retryPolicies,
      timeoutMs: counts,
      submitter: texts,
      requestDigest: fc.constantFrom('digest-1', 'digest-2'),
      batch: texts,
      parent: texts,
      tags: fc.dictionary(texts, texts).map((tags) => JSON.parse(JSON.stringify(tags)) as Record<string, string>),
      idempotencyKeyDigest: texts,
    },
    ['batch', 'parent', 'tags', 'idempotencyKeyDigest'],
  ),
  TaskRejected: record({ code: texts, violations: fc.array(fc.record({ pointer: texts, rule: texts }), { maxLength: 3 }) }),
  TaskDispatched: record<Required<TaskEventData['TaskDispatched']>>({ attempt: counts, queue: names, issue: counts, reason: texts }, ['reason']),
  TaskExecutionStarted: record({
    attempt: counts,
    issue: counts,
    queue: names,
    executionId: names,
    workerId: names,
    handlerVersion: counts,
    redelivered: flags,
    guarded: flags,
  }),
  TaskExecutionProgressed: record<Required<TaskEventData['TaskExecutionProgressed']>>(
    { attempt: counts, executionId: names, sequence: counts, fraction: fractions, note: texts },
    ['note'],
  ),
  TaskExecutionCompleted: record({ attempt: counts, executionId: names, workerId: names, result: jsonValues, durationMs: amounts }),
  TaskExecutionFailed: record<Required<TaskEventData['TaskExecutionFailed']>>(
    { attempt: counts, executionId: names, workerId: names, error, cause: fc.constantFrom(...failureCauses), durationMs: amounts },
    ['executionId', 'workerId', 'durationMs'],
  ),
  TaskRetryRequested: request,
  TaskRetryScheduled: record({ attempt: counts, dueAtMs: instants, reason: fc.constantFrom(...retryReasons), policy: retryPolicies }),
  TaskCancellationRequested: request,
  TaskCancelled: record({ reason: texts }),
  TaskFailedPermanently: record({ reason: fc.constantFrom(...permanentFailureReasons), attempts: fc.nat() }),
};

const headerTexts = fc.string({ minLength: 1 });

/** Any event of one type, of the task `task-1`. */
export function eventsOf(type: TaskEventType): fc.Arbitrary<TaskEvent> {
  const isRequest = type === 'TaskRetryRequested' || type === 'TaskCancellationRequested';
  return fc
    .record(
      {
        type: fc.constant(type),
        id: headerTexts,
        taskId: fc.constant('task-1'),
        timeMs: instants,
        source: headerTexts,
        tenant: headerTexts,
        taskType: isRequest ? fc.constant(null) : texts,
        taskTypeVersion: isRequest ? fc.constant(null) : fc.option(counts),
        traceparent: headerTexts,
        data: dataOf[type],
      },
      { requiredKeys: ['type', 'id', 'taskId', 'timeMs', 'source', 'tenant', 'taskType', 'taskTypeVersion', 'data'] },
    )
    .map((event) => event as TaskEvent);
}

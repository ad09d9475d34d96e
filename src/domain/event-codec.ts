import { instantText, parseInstant } from './instant.ts';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type { LogRecord, StoredRecord } from './log-record.ts';
import type { RetryPolicy } from './retry-schedule.ts';
import {
  failureCauses,
  isRequest,
  permanentFailureReasons,
  retryReasons,
  schemaVersions,
  type AcceptedOptions,
  type DecodedRecord,
  type TaskAcceptedData,
  type TaskError,
  type TaskEvent,
  type TaskEventData,
  type TaskEventType,
  type UnreadableRecord,
  type Upcasters,
  type Violation,
} from './task-events.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** What a record's value says beside the event's own data. */
interface Subject {
  readonly taskId: string;
  readonly taskType: string | null;
  readonly taskTypeVersion: number | null;
}

/** The value bytes of an event: canonical JSON, so that the same fact always has the same bytes. */
export function encodeValue<Type extends TaskEventType>(type: Type, subject: Subject, data: TaskEventData[Type]): Uint8Array {
  const { taskId, taskType, taskTypeVersion } = subject;
  const members = toJson(type, data) as JsonObject;
  const value = isRequest(type) ? { ...members, taskId } : { ...members, taskId, type: taskType, typeVersion: taskTypeVersion };
  return encoder.encode(canonicalJson(value));
}

/** The record of an event: CloudEvents 1.0, Kafka binding, binary mode. `value` is what `encodeValue` gave. */
export function encodeEvent(event: Omit<TaskEvent, 'data'>, value: Uint8Array): LogRecord {
  const headers: Array<readonly [string, string]> = [
    ['ce_specversion', '1.0'],
    ['ce_id', event.id],
    ['ce_source', event.source],
    ['ce_type', event.type],
    ['ce_time', instantText(event.timeMs)],
    ['ce_subject', event.taskId],
    ['ce_dataschema', `/schemas/${event.type}/${schemaVersions[event.type]}`],
    ['ce_tenant', event.tenant],
    ['content-type', 'application/json'],
  ];
  if (event.traceparent !== undefined) headers.push(['traceparent', event.traceparent]);
  return { key: event.taskId, headers, value };
}

/**
 * Reads a record of any origin. Total: whatever the bytes are, the answer is an event or an `UnreadableRecord`.
 * Older versions pass through the upcasters, one step at a time.
 */
export function decodeEvent(record: StoredRecord | LogRecord, upcasters: Upcasters = {}, versions = schemaVersions): DecodedRecord {
  const headers = new Map(record.headers);
  const unreadable = (reason: UnreadableRecord['reason'], detail: string): UnreadableRecord => ({
    type: 'Unreadable',
    id: headers.get('ce_id') ?? null,
    taskId: record.key,
    reason,
    detail,
    freezes: reason !== 'malformed',
  });
  const envelope = readEnvelope(record, headers);
  if (typeof envelope === 'string') return unreadable('malformed', envelope);
  const { type, version } = envelope;
  if (!isEventType(type, versions)) return unreadable('unknown-event-type', `event type ${type} is not known here`);
  if (version > versions[type]) {
    return unreadable('newer-schema-version', `${type} version ${version} is newer than ${versions[type]}, the newest known here`);
  }
  const steps: Array<(data: JsonObject) => JsonObject> = [];
  for (let from = version; from < versions[type]; from++) {
    const step = upcasters[type]?.[from];
    if (!step) return unreadable('older-schema-version', `no upcaster from ${type} version ${from} is known here`);
    steps.push(step);
  }
  try {
    const value = steps.reduce((data, step) => step(data), parseValue(record.value));
    return eventFrom(type, envelope, value);
  } catch (error) {
    // Whatever an upcaster throws comes from data that it cannot take: garbage, as any other.
    return unreadable('malformed', error instanceof Malformed ? error.message : `the data of ${type} version ${version} cannot be read`);
  }
}

function parseValue(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    throw new Malformed('value must be UTF-8 JSON');
  }
  return asObject(value, 'value');
}

interface Envelope {
  readonly id: string;
  readonly taskId: string;
  readonly timeMs: number;
  readonly source: string;
  readonly tenant: string;
  readonly type: string;
  readonly version: number;
  readonly traceparent: string | undefined;
}

/** The envelope, or what is wrong with it. */
function readEnvelope(record: StoredRecord | LogRecord, headers: ReadonlyMap<string, string>): Envelope | string {
  if (headers.size !== record.headers.length) return 'a header stands twice';
  if (headers.get('ce_specversion') !== '1.0') return 'ce_specversion must be 1.0';
  const id = headers.get('ce_id');
  if (!id) return 'ce_id is missing';
  const source = headers.get('ce_source');
  if (!source) return 'ce_source is missing';
  const type = headers.get('ce_type');
  if (!type) return 'ce_type is missing';
  const timeMs = parseInstant(headers.get('ce_time') ?? '');
  if (timeMs === null) return 'ce_time must be an RFC 3339 instant';
  const taskId = headers.get('ce_subject');
  if (!taskId || taskId !== record.key) return 'ce_subject must be the task id, equal to the key';
  if (taskId.length > mostNameCharacters) return `ce_subject must be at most ${mostNameCharacters} characters`;
  const schema = /^\/schemas\/([^/]+)\/([1-9]\d{0,8})$/.exec(headers.get('ce_dataschema') ?? '');
  if (schema?.[1] !== type) return 'ce_dataschema must be /schemas/<ce_type>/<version>';
  return {
    id,
    taskId,
    timeMs,
    source,
    type,
    version: Number(schema[2]),
    tenant: headers.get('ce_tenant') ?? 'default',
    traceparent: headers.get('traceparent'),
  };
}

function isEventType(type: string, versions: Readonly<Record<TaskEventType, number>>): type is TaskEventType {
  return Object.hasOwn(versions, type);
}

function eventFrom(type: TaskEventType, envelope: Envelope, value: JsonObject): TaskEvent {
  if (value.taskId !== envelope.taskId) throw new Malformed('taskId must equal the key');
  const isUntyped = isRequest(type);
  return {
    id: envelope.id,
    type,
    taskId: envelope.taskId,
    timeMs: envelope.timeMs,
    source: envelope.source,
    tenant: envelope.tenant,
    taskType: isUntyped ? null : nameOf(value, 'type'),
    taskTypeVersion: isUntyped || value.typeVersion === null ? null : count(value, 'typeVersion', 1),
    ...(envelope.traceparent === undefined ? {} : { traceparent: envelope.traceparent }),
    data: readers[type](value),
  } as TaskEvent;
}

/** Data as it stands in the record: the same members, instants as text. */
function toJson<Type extends TaskEventType>(type: Type, data: TaskEventData[Type]): JsonValue {
  if (type === 'TaskAccepted') {
    const { options, ...rest } = data as TaskAcceptedData;
    const { notBeforeMs, expiresAtMs, ...others } = options;
    const instants = {
      ...(notBeforeMs === undefined ? {} : { notBefore: instantText(notBeforeMs) }),
      ...(expiresAtMs === undefined ? {} : { expiresAt: instantText(expiresAtMs) }),
    };
    return { ...rest, options: { ...others, ...instants } } as unknown as JsonValue;
  }
  if (type === 'TaskRetryScheduled') {
    const { dueAtMs, ...rest } = data as TaskEventData['TaskRetryScheduled'];
    return { ...rest, dueAt: instantText(dueAtMs) } as unknown as JsonValue;
  }
  return data as unknown as JsonValue;
}

/** One reader per event: takes the members it knows and leaves unknown ones, which newer builds may have added. */
const readers: { readonly [Type in TaskEventType]: (value: JsonObject) => TaskEventData[Type] } = {
  TaskAccepted: (value) => ({
    payload: present(value, 'payload'),
    options: acceptedOptions(asObject(value.options ?? {}, 'options')),
    retry: retryPolicy(value, 'retry'),
    timeoutMs: count(value, 'timeoutMs', 1),
    submitter: text(value, 'submitter'),
    requestDigest: text(value, 'requestDigest'),
    ...optional(value, 'batch', nameOf),
    ...optional(value, 'parent', text),
    ...optional(value, 'tags', tags),
    ...optional(value, 'idempotencyKeyDigest', text),
  }),
  TaskRejected: (value) => ({ code: text(value, 'code'), violations: violations(value) }),
  TaskDispatched: (value) => ({
    attempt: count(value, 'attempt', 1),
    queue: text(value, 'queue'),
    issue: count(value, 'issue', 1),
    ...optional(value, 'reason', text),
  }),
  TaskExecutionStarted: (value) => ({
    attempt: count(value, 'attempt', 1),
    issue: count(value, 'issue', 1),
    queue: text(value, 'queue'),
    executionId: text(value, 'executionId'),
    workerId: text(value, 'workerId'),
    handlerVersion: count(value, 'handlerVersion', 1),
    redelivered: flag(value, 'redelivered'),
    guarded: flag(value, 'guarded'),
  }),
  TaskExecutionProgressed: (value) => ({
    attempt: count(value, 'attempt', 1),
    executionId: text(value, 'executionId'),
    sequence: count(value, 'sequence', 1),
    fraction: amount(value, 'fraction', 1),
    ...optional(value, 'note', text),
  }),
  TaskExecutionCompleted: (value) => ({
    attempt: count(value, 'attempt', 1),
    executionId: text(value, 'executionId'),
    workerId: text(value, 'workerId'),
    result: value.result ?? null,
    durationMs: amount(value, 'durationMs'),
  }),
  TaskExecutionFailed: (value) => ({
    attempt: count(value, 'attempt', 1),
    error: taskError(value),
    cause: oneOf(value, 'cause', failureCauses),
    ...optional(value, 'executionId', text),
    ...optional(value, 'workerId', text),
    ...optional(value, 'durationMs', amount),
  }),
  TaskRetryRequested: request,
  TaskRetryScheduled: (value) => ({
    attempt: count(value, 'attempt', 1),
    dueAtMs: time(value, 'dueAt'),
    reason: oneOf(value, 'reason', retryReasons),
    policy: retryPolicy(value, 'policy'),
  }),
  TaskCancellationRequested: request,
  TaskCancelled: (value) => ({ reason: text(value, 'reason') }),
  TaskFailedPermanently: (value) => ({
    reason: oneOf(value, 'reason', permanentFailureReasons),
    attempts: count(value, 'attempts', 0),
  }),
};

function acceptedOptions(value: JsonObject): AcceptedOptions {
  return {
    ...optional(value, 'queue', text),
    ...optional(value, 'priority', (options, name) => count(options, name, 0, 9)),
    ...(value.notBefore === undefined ? {} : { notBeforeMs: time(value, 'notBefore') }),
    ...optional(value, 'delayMs', amount),
    ...(value.expiresAt === undefined ? {} : { expiresAtMs: time(value, 'expiresAt') }),
    ...optional(value, 'expiresInMs', amount),
    ...optional(value, 'concurrencyKey', text),
  };
}

function retryPolicy(value: JsonObject, name: string): RetryPolicy {
  const policy = asObject(value[name], name);
  return {
    maxAttempts: count(policy, 'maxAttempts', 1),
    backoff: oneOf(policy, 'backoff', ['exponential', 'fixed'] as const),
    baseMs: amount(policy, 'baseMs'),
    maxMs: amount(policy, 'maxMs'),
  };
}

function taskError(value: JsonObject): TaskError {
  const error = asObject(value.error, 'error');
  return {
    name: text(error, 'name'),
    message: text(error, 'message'),
    code: error.code === null || error.code === undefined ? null : text(error, 'code'),
    retryable: flag(error, 'retryable'),
    fingerprint: nameOf(error, 'fingerprint'),
    ...optional(error, 'retryAfterMs', amount),
    ...optional(error, 'stack', text),
  };
}

function request(value: JsonObject): TaskEventData['TaskRetryRequested'] {
  return { requestId: text(value, 'requestId'), reason: text(value, 'reason'), by: text(value, 'by') };
}

function violations(value: JsonObject): readonly Violation[] {
  const list: unknown = value.violations;
  if (!Array.isArray(list)) throw new Malformed('violations must be a list');
  return list.map((entry) => {
    const violation = asObject(entry, 'violations');
    return { pointer: text(violation, 'pointer'), rule: text(violation, 'rule') };
  });
}

function tags(value: JsonObject, name: string): Readonly<Record<string, string>> {
  const found = asObject(value[name], name);
  for (const [tag, content] of Object.entries(found)) {
    if (typeof content !== 'string') throw new Malformed(`${name}.${tag} must be text`);
    if (Math.max(tag.length, content.length) > mostTagCharacters) throw new Malformed(`${name} must have names and values of at most ${mostTagCharacters} characters`);
  }
  return found as Readonly<Record<string, string>>;
}

/**
 * What tasks are found by goes into indexes, and no index takes texts of any length: one record that a read model
 * cannot store would stop it for good. Daybook's own are far shorter.
 */
const mostNameCharacters = 512;
const mostTagCharacters = 256;

class Malformed extends Error {}

function asObject(value: unknown, name: string): JsonObject {
  if (!isJsonObject(value)) throw new Malformed(`${name} must be an object`);
  return value;
}

function present(value: JsonObject, name: string): JsonValue {
  const member = value[name];
  if (member === undefined) throw new Malformed(`${name} is missing`);
  return member;
}

function text(value: JsonObject, name: string): string {
  const member = value[name];
  if (typeof member !== 'string') throw new Malformed(`${name} must be text`);
  return member;
}

/** A text that tasks are found by. */
function nameOf(value: JsonObject, name: string): string {
  const member = text(value, name);
  if (member.length > mostNameCharacters) throw new Malformed(`${name} must be at most ${mostNameCharacters} characters`);
  return member;
}

function flag(value: JsonObject, name: string): boolean {
  const member = value[name];
  if (typeof member !== 'boolean') throw new Malformed(`${name} must be true or false`);
  return member;
}

function amount(value: JsonObject, name: string, most = Number.MAX_VALUE): number {
  const member = value[name];
  if (typeof member !== 'number' || !Number.isFinite(member) || member < 0 || member > most) {
    throw new Malformed(`${name} must be a number, at least 0${most < Number.MAX_VALUE ? ` and at most ${most}` : ''}`);
  }
  return member;
}

function count(value: JsonObject, name: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const member = value[name];
  if (typeof member !== 'number' || !Number.isSafeInteger(member) || member < least || member > most) {
    throw new Malformed(`${name} must be a whole number, at least ${least}${most < Number.MAX_SAFE_INTEGER ? ` and at most ${most}` : ''}`);
  }
  return member;
}

function time(value: JsonObject, name: string): number {
  const timeMs = parseInstant(text(value, name));
  if (timeMs === null) throw new Malformed(`${name} must be an RFC 3339 instant`);
  return timeMs;
}

function oneOf<const Choice extends string>(value: JsonObject, name: string, choices: readonly Choice[]): Choice {
  const member = text(value, name);
  const choice = choices.find((candidate) => candidate === member);
  if (choice === undefined) throw new Malformed(`${name} must be one of ${choices.join(', ')}`);
  return choice;
}

function optional<Name extends string, Value>(
  value: JsonObject,
  name: Name,
  read: (value: JsonObject, name: Name) => Value,
): { readonly [Key in Name]?: Value } {
  return value[name] === undefined ? {} : ({ [name]: read(value, name) } as { readonly [Key in Name]?: Value });
}

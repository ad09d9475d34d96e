import type { TaskRequest } from '../domain/acceptance.ts';
import { findJsonProblem, type JsonValue } from '../domain/json.ts';
import type { Violation } from '../domain/task-events.ts';
import type { TaskDefinition } from '../task-definition/define-task.ts';
import { issuePointer, type SchemaIssue, type SchemaResult } from '../task-definition/standard-schema.ts';
import type { FoundDefinition, TaskCatalog } from '../task-definition/task-catalog.ts';
import { nearNames } from '../domain/near-names.ts';
import { refuse, type Refusal } from './refusal.ts';

export interface RequestLimits {
  /** Bytes of the payload as UTF-8 JSON without spaces. */
  readonly payloadLimitBytes: number;
  /** Levels of objects and lists, counted within the payload and within the options. */
  readonly depthLimit: number;
}

/** A request whose type is known and whose payload fits it. */
export interface CheckedRequest {
  readonly type: 'checked';
  readonly definition: TaskDefinition;
  /** The version that the payload was written for: as sent, else the highest. */
  readonly typeVersion: number;
}

const mostViolations = 50;

/**
 * Checks what a submission says against its type: size, type, depth, schema, in this order. Neither the payload nor
 * what the schema makes of it is changed; the payload is recorded as it was sent.
 */
export async function checkRequest(request: TaskRequest, catalog: TaskCatalog, limits: RequestLimits): Promise<CheckedRequest | Refusal> {
  const { type, version, payload, options = {} } = request;
  const unsound = unsoundPlace('/payload', payload, limits) ?? unsoundPlace('/options', options, limits);
  if (!unsound && isLongerThan(payload, limits.payloadLimitBytes)) return payloadTooLarge(limits.payloadLimitBytes);
  const found = catalog.find(type, version);
  if (!found) return unknownType(type, version, catalog);
  if (unsound) return unsound;
  const issues = await schemaIssues(found, payload);
  if (issues.length > 0) return payloadInvalid(type, issues);
  return { type: 'checked', definition: found.definition, typeVersion: version ?? found.definition.version };
}

export function payloadTooLarge(limitBytes: number): Refusal {
  const rule = `must be at most ${limitBytes} bytes of JSON`;
  return refuse('payload-too-large', `The payload ${rule}.`, [{ pointer: '/payload', detail: rule }]);
}

/** Something that would not survive being written and read again, or that would harm its readers. */
function unsoundPlace(base: '/payload' | '/options', value: JsonValue, { depthLimit }: RequestLimits): Refusal | null {
  const problem = findJsonProblem(value, depthLimit);
  if (!problem) return null;
  const detail = problem.rule === 'depth' ? `is nested too deeply: at most ${depthLimit} levels` : problem.detail;
  const pointer = shortPointer(`${base}${problem.pointer}`);
  const code = problem.rule === 'depth' ? 'too-deep' : base === '/payload' ? 'payload-invalid' : 'options-invalid';
  return refuse(code, `${pointer} ${detail}.`, [{ pointer, detail }], [{ pointer, rule: detail }]);
}

/** JSON without spaces has the same length whatever the order of members. Only for values that are not too deep. */
function isLongerThan(value: JsonValue, limitBytes: number): boolean {
  const text = JSON.stringify(value);
  return text.length * 3 > limitBytes && Buffer.byteLength(text) > limitBytes;
}

function unknownType(type: string, version: number | undefined, catalog: TaskCatalog): Refusal {
  const versions = catalog.definitions.filter((definition) => definition.type === type).map((definition) => definition.version);
  if (versions.length > 0) {
    const detail = `has no version ${version}; known are ${versions.join(', ')}`;
    return refuse('unknown-type', `Task type '${type}' ${detail}.`, [{ pointer: '/version', detail }], [{ pointer: '/version', rule: 'must be a known version' }]);
  }
  const near = nearNames(type, catalog.types);
  const hint = near.length > 0 ? `near names: ${near.join(', ')}` : 'no known name is near';
  const detail = `is not known here; ${hint}`;
  return refuse('unknown-type', `Task type '${type}' ${detail}.`, [{ pointer: '/type', detail }], [{ pointer: '/type', rule: 'must be a known type' }]);
}

async function schemaIssues({ definition, upcast }: FoundDefinition, payload: JsonValue): Promise<readonly SchemaIssue[]> {
  let current: JsonValue;
  try {
    current = upcast(payload);
  } catch {
    // An upcaster may count on the old shape; a payload without it makes it throw.
    return [{ message: `cannot be brought to version ${definition.version} of the type` }];
  }
  const result: SchemaResult<unknown> | Promise<SchemaResult<unknown>> = definition.payload['~standard'].validate(current);
  return (result instanceof Promise ? await result : result).issues ?? [];
}

function payloadInvalid(type: string, issues: readonly SchemaIssue[]): Refusal {
  const shown = issues.slice(0, mostViolations);
  const errors = shown.map((issue) => ({ pointer: shortPointer(issuePointer(issue, '/payload')), detail: issue.message.slice(0, 500) }));
  const violations: Violation[] = shown.map((issue, index) => ({ pointer: errors[index]?.pointer ?? '', rule: ruleOf(issue) }));
  return refuse('payload-invalid', `The payload does not fit task type '${type}': ${issues.length} broken rule(s).`, errors, violations);
}

/**
 * A name for the rule that an issue breaks. Not its message: some libraries repeat in it the value they received,
 * and values must not enter the history this way.
 */
function ruleOf(issue: SchemaIssue): string {
  const { code, type, expected } = issue as SchemaIssue & { readonly code?: unknown; readonly type?: unknown; readonly expected?: unknown };
  const name = [code, type].find((candidate): candidate is string => typeof candidate === 'string' && /^[\w.-]{1,64}$/.test(candidate));
  if (name === undefined) return 'must fit the schema';
  return typeof expected === 'string' && /^[\w.-]{1,64}$/.test(expected) ? `${name}: expected ${expected}` : name;
}

/** A pointer holds member names that the client chose, so it is cut. */
function shortPointer(pointer: string): string {
  return pointer.length <= 256 ? pointer : `${pointer.slice(0, 255)}…`;
}

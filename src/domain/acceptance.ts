import { durationMs } from './duration.ts';
import { parseInstant } from './instant.ts';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type { RetryPolicy } from './retry-schedule.ts';
import type { AcceptedOptions, TaskAcceptedData, Violation } from './task-events.ts';
import { defaultPriority, defaultQueue } from './task-state.ts';

/** A submission as the client sent it. */
export interface TaskRequest {
  readonly type: string;
  /** Absent: the highest version registered. */
  readonly version?: number;
  readonly payload: JsonValue;
  readonly options?: JsonObject;
}

/** What the task's definition says where the request is silent. */
export interface TaskDefaults {
  readonly queue: string;
  readonly priority: number;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
}

export interface AcceptanceContext {
  /** The authenticated name, or `anonymous`. */
  readonly submitter: string;
  /** The queues that somebody may consume. */
  readonly queues: ReadonlySet<string>;
  readonly parent?: string;
  readonly batch?: string;
  readonly idempotencyKeyDigest?: string;
}

/** Lower-case SHA-256 hex of the text's UTF-8 bytes. */
export type Sha256Hex = (text: string) => string;

export const optionNames: readonly string[] = [
  'queue',
  'priority',
  'notBefore',
  'expiresAt',
  'concurrencyKey',
  'retry',
  'batch',
  'parent',
  'tags',
  'tenant',
];

export const retryMembers: readonly string[] = ['maxAttempts', 'backoff', 'base', 'max', 'baseMs', 'maxMs'];

export const typeNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const longestDelayMs = 3_650 * 86_400_000;
const longestBackoffMs = 30 * 86_400_000;
const mostAttempts = 1_000;
const mostTags = 20;

/** Covers type, version, payload and options as sent: what makes two submissions the same request. */
export function requestDigest(request: TaskRequest, sha256Hex: Sha256Hex): string {
  const { type, version, payload, options } = request;
  return sha256Hex(canonicalJson({ type, version, payload, options }));
}

/**
 * The data of `TaskAccepted` for a request whose payload is sound, or the rules that its options break.
 * Pure: the same request gives the same data, which is what makes a repeated submission the same event.
 */
export function acceptTask(
  request: TaskRequest,
  defaults: TaskDefaults,
  context: AcceptanceContext,
  sha256Hex: Sha256Hex,
): { readonly data: TaskAcceptedData } | { readonly violations: readonly Violation[] } {
  const reading = new OptionsReading(request.options ?? {});
  const options: AcceptedOptions = {
    ...queueAndPriority(reading, defaults, context.queues),
    ...startAndExpiry(reading),
  };
  const retry = retryOverride(reading, defaults.retry);
  const batch = reading.text('batch', namePattern, 'must be 1 to 128 letters, digits or . _ : -') ?? context.batch;
  const parent = reading.text('parent', uuidPattern, 'must be a task id') ?? context.parent;
  const tags = tagsOf(reading);
  reading.refuse('concurrencyKey', 'is not built yet: leave it out');
  reading.text('tenant', /^default$/, "must be 'default': tenants are not built yet");
  if (reading.violations.length > 0) return { violations: reading.violations };
  return {
    data: {
      payload: request.payload,
      options,
      retry,
      timeoutMs: defaults.timeoutMs,
      submitter: context.submitter,
      requestDigest: requestDigest(request, sha256Hex),
      ...(batch === undefined ? {} : { batch }),
      ...(parent === undefined ? {} : { parent }),
      ...(tags === undefined ? {} : { tags }),
      ...(context.idempotencyKeyDigest === undefined ? {} : { idempotencyKeyDigest: context.idempotencyKeyDigest }),
    },
  };
}

/** Reads options one by one and collects every broken rule, so that a client sees all of them at once. */
class OptionsReading {
  readonly violations: Violation[] = [];
  readonly #options: JsonObject;

  constructor(options: JsonObject) {
    this.#options = options;
  }

  take(name: string): JsonValue | undefined {
    return this.#options[name];
  }

  violate(name: string, rule: string): undefined {
    this.violations.push({ pointer: `/options/${name}`, rule });
  }

  refuse(name: string, rule: string): void {
    if (this.take(name) !== undefined) this.violate(name, rule);
  }

  text(name: string, pattern: RegExp, rule: string): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    return typeof value === 'string' && pattern.test(value) ? value : this.violate(name, rule);
  }
}

function queueAndPriority(reading: OptionsReading, defaults: TaskDefaults, queues: ReadonlySet<string>): AcceptedOptions {
  const queue = reading.text('queue', namePattern, 'must be 1 to 128 letters, digits or . _ : -') ?? defaults.queue;
  if (!queues.has(queue)) reading.violate('queue', `must be one of the known queues: ${[...queues].sort().join(', ')}`);
  const priority = priorityOf(reading) ?? defaults.priority;
  return {
    ...(queue === defaultQueue ? {} : { queue }),
    ...(priority === defaultPriority ? {} : { priority }),
  };
}

function priorityOf(reading: OptionsReading): number | undefined {
  const value = reading.take('priority');
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 9) return value;
  return reading.violate('priority', 'must be a whole number from 0 to 9 (9 goes first)');
}

function startAndExpiry(reading: OptionsReading): AcceptedOptions {
  const start = instantOrDelay(reading, 'notBefore');
  const expiry = instantOrDelay(reading, 'expiresAt');
  return {
    ...(start === undefined ? {} : 'instantMs' in start ? { notBeforeMs: start.instantMs } : { delayMs: start.delayMs }),
    ...(expiry === undefined ? {} : 'instantMs' in expiry ? { expiresAtMs: expiry.instantMs } : { expiresInMs: expiry.delayMs }),
  };
}

/** An instant such as `2026-12-24T18:00:00Z`, or a delay such as `10s` or a number of milliseconds. */
function instantOrDelay(reading: OptionsReading, name: string): { instantMs: number } | { delayMs: number } | undefined {
  const value = reading.take(name);
  if (value === undefined) return undefined;
  const rule = "must be an RFC 3339 instant with a time zone, or a delay such as '10s' (at most 3650d)";
  if (typeof value !== 'string' && typeof value !== 'number') return reading.violate(name, rule);
  const instantMs = typeof value === 'string' ? parseInstant(value) : null;
  if (instantMs !== null) return { instantMs };
  const delayMs = durationMs(value);
  return delayMs === null || delayMs > longestDelayMs ? reading.violate(name, rule) : { delayMs };
}

function retryOverride(reading: OptionsReading, defaults: RetryPolicy): RetryPolicy {
  const value = reading.take('retry');
  if (value === undefined) return defaults;
  const parsed = isJsonObject(value) ? parseRetry(value, defaults) : 'must be an object';
  if (typeof parsed !== 'string') return parsed;
  reading.violate('retry', parsed);
  return defaults;
}

/** A retry policy with what is absent taken from `defaults`, or the rule that it breaks. */
export function parseRetry(value: JsonObject, defaults: RetryPolicy): RetryPolicy | string {
  const unknown = Object.keys(value).find((name) => !retryMembers.includes(name));
  if (unknown !== undefined) return `has an unknown member '${unknown}': known are maxAttempts, backoff, base, max`;
  const both = ['base', 'max'].find((name) => value[name] !== undefined && value[`${name}Ms`] !== undefined);
  if (both !== undefined) return `${both} and ${both}Ms mean the same: give one of them`;
  const { maxAttempts = defaults.maxAttempts, backoff = defaults.backoff, baseMs = defaults.baseMs, maxMs = defaults.maxMs } = value;
  const base = asDelay(value.base === undefined ? baseMs : value.base);
  const max = asDelay(value.max === undefined ? maxMs : value.max);
  if (typeof maxAttempts !== 'number' || !Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > mostAttempts) {
    return `maxAttempts must be a whole number from 1 to ${mostAttempts}`;
  }
  if (backoff !== 'exponential' && backoff !== 'fixed') return "backoff must be 'exponential' or 'fixed'";
  if (base === null || max === null) return "base and max must be delays such as '1s', at most 30d";
  return { maxAttempts, backoff, baseMs: base, maxMs: max };
}

function asDelay(value: JsonValue): number | null {
  const delayMs = typeof value === 'string' || typeof value === 'number' ? durationMs(value) : null;
  return delayMs === null || delayMs > longestBackoffMs ? null : delayMs;
}

function tagsOf(reading: OptionsReading): Readonly<Record<string, string>> | undefined {
  const value = reading.take('tags');
  if (value === undefined) return undefined;
  const rule = `must be an object of at most ${mostTags} texts: names of 1 to 64 letters, digits or . _ -, values up to 256 characters`;
  if (!isJsonObject(value)) return reading.violate('tags', rule);
  const entries = Object.entries(value);
  const sound = entries.every(
    ([name, content]) => /^[A-Za-z0-9._-]{1,64}$/.test(name) && typeof content === 'string' && content.length <= 256,
  );
  return sound && entries.length <= mostTags ? (value as Readonly<Record<string, string>>) : reading.violate('tags', rule);
}

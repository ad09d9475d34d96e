import { parseRetry, typeNamePattern } from '../domain/acceptance.ts';
import { durationMs, type Duration } from '../domain/duration.ts';
import { DaybookError } from '../domain/errors.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { defaultRetryPolicy, type RetryPolicy } from '../domain/retry-schedule.ts';
import { defaultPriority, defaultQueue } from '../domain/task-state.ts';
import type { StandardSchema } from './standard-schema.ts';

export interface TaskOptions<PayloadIn, Payload, Returned> {
  /** Names the kind of task: 1 to 128 letters, digits, `.`, `_` or `-`. */
  readonly type: string;
  /** Raise it when the payload changes in a way that old payloads do not fit. Default 1. */
  readonly version?: number;
  /** Any Standard Schema. The api refuses what does not fit; the worker parses again. */
  readonly payload: StandardSchema<PayloadIn, Payload>;
  /** What the handler returns. Default: whatever JSON can hold; nothing becomes null. */
  readonly result?: StandardSchema<Returned, unknown>;
  /** Limit of one execution, from the handler's start. Default `'30s'`. */
  readonly timeout?: Duration;
  /** Default: 3 attempts, exponential, base `'1s'`, max `'5m'`. */
  readonly retry?: {
    /** The first attempt included, 1 to 1,000. */
    readonly maxAttempts?: number;
    readonly backoff?: 'exponential' | 'fixed';
    readonly base?: Duration;
    readonly max?: Duration;
  };
  /** The lane that its jobs wait in. Default `default`. */
  readonly queue?: string;
  /** 0 to 9, 9 goes first. Default 0. */
  readonly priority?: number;
  /** `'required'`: without reachable claims wait instead of running unguarded. Default `'preferred'`. */
  readonly guard?: 'preferred' | 'required';
  /** For each older version n: turns its payload into that of version n + 1. */
  readonly upcast?: Readonly<Record<number, (payload: never) => unknown>>;
  /** JSON pointers of values to encrypt. Not built yet: a definition with them is refused. */
  readonly sensitive?: readonly string[];
  /** Not built yet: a definition with it is refused. */
  readonly concurrency?: number;
  /** Not built yet: a definition with it is refused. */
  readonly rateLimit?: string;
}

/**
 * A kind of task, as clients, api and worker know it. Made by `defineTask`. `PayloadIn` is what is submitted, `Payload`
 * what the handler gets, `Returned` what it returns.
 */
export interface TaskDefinition<PayloadIn = unknown, Payload = unknown, Returned = unknown> {
  readonly [definitionBrand]: true;
  readonly type: string;
  readonly version: number;
  readonly payload: StandardSchema<PayloadIn, Payload>;
  readonly result: StandardSchema<Returned, unknown> | null;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly queue: string;
  readonly priority: number;
  readonly guard: 'preferred' | 'required';
  readonly upcast: Readonly<Record<number, (payload: JsonValue) => JsonValue>>;
}

/** The same text in every copy of this package, so that definitions made with another copy are known, by their type too. */
export const definitionBrand = '~daybook.definition';

const longestTimeoutMs = 24 * 3_600_000;

/**
 * Declares a kind of task: what its payload and result look like, and how it is retried. Loads no server, so that
 * a client may import it.
 * @throws DaybookError `task-invalid` naming the field, the rule and the fix
 */
export function defineTask<PayloadIn, Payload, Returned = unknown>(
  options: TaskOptions<PayloadIn, Payload, Returned>,
): TaskDefinition<PayloadIn, Payload, Returned> {
  const { type, version = 1, queue = defaultQueue, priority = defaultPriority, timeout = '30s', guard = 'preferred' } = options;
  const invalid = (rule: string) => new DaybookError('task-invalid', `task ${JSON.stringify(type)}: ${rule}`);
  if (typeof type !== 'string' || !typeNamePattern.test(type)) {
    throw invalid('type must be 1 to 128 letters, digits, . _ or -, and start with a letter or digit');
  }
  if (!Number.isSafeInteger(version) || version < 1) throw invalid('version must be a whole number, at least 1');
  for (const name of ['payload', 'result'] as const) {
    if (options[name]?.['~standard']?.validate === undefined && (name === 'payload' || options[name] !== undefined)) {
      throw invalid(`${name} must be a Standard Schema, such as z.object({ … })`);
    }
  }
  for (const name of ['sensitive', 'concurrency', 'rateLimit'] as const) {
    if (options[name] !== undefined) throw invalid(`${name} is not built yet: leave it out`);
  }
  const timeoutMs = durationMs(timeout);
  if (timeoutMs === null || timeoutMs < 1 || timeoutMs > longestTimeoutMs) {
    throw invalid("timeout must be a duration from 1 ms to 24 h, such as '30s'");
  }
  const retry = parseRetry((options.retry ?? {}) as JsonObject, defaultRetryPolicy);
  if (typeof retry === 'string') throw invalid(`retry: ${retry}`);
  if (typeof queue !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(queue)) throw invalid('queue must be 1 to 128 letters, digits or . _ : -');
  if (!Number.isInteger(priority) || priority < 0 || priority > 9) throw invalid('priority must be a whole number from 0 to 9');
  if (guard !== 'preferred' && guard !== 'required') throw invalid("guard must be 'preferred' or 'required'");
  for (const [older, step] of Object.entries(options.upcast ?? {})) {
    if (!(Number(older) < version)) throw invalid(`upcast[${older}] must stand at an older version than ${version}`);
    if (typeof step !== 'function') throw invalid(`upcast[${older}] must be a function from that version's payload to the next one's`);
  }
  return Object.freeze({
    [definitionBrand]: true as const,
    type,
    version,
    payload: options.payload,
    result: options.result ?? null,
    timeoutMs,
    retry,
    queue,
    priority,
    guard,
    upcast: (options.upcast ?? {}) as Readonly<Record<number, (payload: JsonValue) => JsonValue>>,
  });
}

export function isTaskDefinition(value: unknown): value is TaskDefinition {
  return typeof value === 'object' && value !== null && definitionBrand in value;
}

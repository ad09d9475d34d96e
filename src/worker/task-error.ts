import type { TaskError } from '../domain/task-events.ts';
import { errorFingerprint } from './error-fingerprint.ts';

const longestName = 128;
const longestMessage = 2_000;
const mostStackBytes = 4_096;

/** An error that Daybook itself finds: its name, message and code are constants, so that whoever repeats it writes the same. */
export function taskError(name: string, code: string, message: string, retryable: boolean): TaskError {
  const bounded = boundedText(message, longestMessage);
  return { name, message: bounded, code, retryable, fingerprint: errorFingerprint(name, bounded) };
}

/**
 * Describes whatever a handler threw: an error, any other value, an object whose members throw when they are read.
 * `PermanentFailure` and `RetryAfter` are known by name and members, since another copy of the package may have made
 * them. Never throws.
 */
export function describeThrown(thrown: unknown): TaskError {
  const name = text(read(thrown, 'name'), longestName) ?? (isObject(thrown) ? 'Error' : 'NonError');
  const message = text(read(thrown, 'message'), longestMessage) ?? boundedText(inWords(thrown), longestMessage);
  const stack = text(read(thrown, 'stack'), mostStackBytes);
  const retryAfterMs = name === 'RetryAfter' ? read(thrown, 'retryAfterMs') : undefined;
  return {
    name,
    message,
    code: text(read(thrown, 'code'), longestName) ?? null,
    retryable: name !== 'PermanentFailure',
    ...(isDelay(retryAfterMs) ? { retryAfterMs } : {}),
    fingerprint: errorFingerprint(name, message, stack),
    ...(stack === undefined ? {} : { stack: withinBytes(stack, mostStackBytes) }),
  };
}

/** Whether the handler itself said what is to follow, which then counts even after its deadline. */
export function isOwnDecision(error: TaskError): boolean {
  return error.name === 'PermanentFailure' || error.name === 'RetryAfter';
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function read(thrown: unknown, member: string): unknown {
  if (!isObject(thrown)) return undefined;
  try {
    return (thrown as Readonly<Record<string, unknown>>)[member];
  } catch {
    return undefined; // A getter or a proxy that throws: as if there were no such member.
  }
}

function text(value: unknown, longest: number): string | undefined {
  return typeof value === 'string' && value !== '' ? boundedText(value, longest) : undefined;
}

function inWords(thrown: unknown): string {
  if (isObject(thrown)) return 'the handler threw an object without a message';
  return `the handler threw ${typeof thrown === 'symbol' ? 'a symbol' : String(thrown) || 'an empty text'}`;
}

function isDelay(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** At most `longest` UTF-16 units, with every lone surrogate replaced, one that the cut made included. */
export function boundedText(value: string, longest: number): string {
  return value.slice(0, longest).replaceAll(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}

function withinBytes(value: string, most: number): string {
  if (Buffer.byteLength(value) <= most) return value;
  // A cut character decodes to U+FFFD, which is three bytes where fewer were; it is left out.
  return Buffer.from(value).subarray(0, most).toString('utf8').replace(/\ufffd$/, '');
}

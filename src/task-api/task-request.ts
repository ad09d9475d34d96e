import { z } from 'zod';
import { optionNames, retryMembers, typeNamePattern, type TaskRequest } from '../domain/acceptance.ts';
import { findJsonProblem, isJsonObject, pointerToken, type JsonObject, type JsonValue } from '../domain/json.ts';

/** What is wrong with a request, and where (JSON pointer into its body, or into its headers). */
export interface RequestError {
  readonly pointer: string;
  readonly detail: string;
}

/** How the body of `POST /v1/tasks` looks, for the API's description. `parseTaskRequest` is what checks it. */
export const taskRequestSchema = z.strictObject({
  type: z.string().regex(typeNamePattern).describe('The kind of task'),
  version: z.int().min(1).optional().describe("The type's version. Default: the highest registered"),
  payload: z.unknown().describe('Checked against the schema of the type; at most 256 KiB and 32 levels deep by default'),
  options: z
    .strictObject({
      queue: z.string().optional().describe('The lane that its jobs wait in. Default: as the type says'),
      priority: z.int().min(0).max(9).optional().describe('9 goes first. Default: as the type says'),
      notBefore: instantOrDelay('The earliest start'),
      expiresAt: instantOrDelay('A task that has not started by then ends'),
      concurrencyKey: z.string().optional().describe('Not built yet: refused'),
      retry: z
        .strictObject({
          maxAttempts: z.int().min(1).max(1_000).optional().describe('The first attempt included'),
          backoff: z.enum(['exponential', 'fixed']).optional(),
          base: z.union([z.string(), z.number()]).optional().describe("Such as '1s', or milliseconds"),
          max: z.union([z.string(), z.number()]).optional(),
        })
        .optional()
        .describe('Overrides the policy of the type, member by member'),
      batch: z.string().optional(),
      parent: z.uuid().optional(),
      tags: z.record(z.string(), z.string()).optional().describe('At most 20'),
      tenant: z.literal('default').optional(),
    })
    .optional(),
});

/** How the body of a cancellation or of a retry looks. */
export const reasonSchema = z.strictObject({ reason: z.string().min(1).max(500).describe('Why; stands in the history') });

/** The same as JSON Schema, for the description of the API. */
export const taskRequestBody = bodySchema(taskRequestSchema);
export const reasonBody = bodySchema(reasonSchema);

function bodySchema(schema: z.ZodType): object {
  const { $schema: _dialect, ...body } = z.toJSONSchema(schema, { io: 'input' });
  return body;
}

/** An RFC 3339 instant, or a delay. */
function instantOrDelay(meaning: string) {
  return z.union([z.string(), z.number()]).optional().describe(`${meaning}: an RFC 3339 instant, or a delay such as '10s' or milliseconds`);
}

const requestMembers = ['type', 'version', 'payload', 'options'];

/**
 * Reads a submission. What this refuses is no submission at all (400) and never becomes history; the rules of the
 * task's type and of its options are checked later.
 * Written by hand because every submission passes here: it costs a fraction of a microsecond.
 * @param body plain JSON, as `JSON.parse` gives it
 */
export function parseTaskRequest(body: unknown): { readonly request: TaskRequest } | { readonly errors: readonly RequestError[] } {
  if (!isJsonObject(body)) return { errors: [{ pointer: '', detail: 'must be a JSON object with type and payload' }] };
  const { type, version, payload, options } = body;
  const errors = unknownMembers(body, requestMembers, '');
  if (typeof type !== 'string' || !typeNamePattern.test(type)) {
    errors.push({ pointer: '/type', detail: 'must be 1 to 128 letters, digits, . _ or -, and start with a letter or digit' });
  }
  if (version !== undefined && !(Number.isSafeInteger(version) && (version as number) >= 1)) {
    errors.push({ pointer: '/version', detail: 'must be a whole number, at least 1' });
  }
  if (payload === undefined) errors.push({ pointer: '/payload', detail: 'is missing (it may be null)' });
  if (isJsonObject(options)) errors.push(...unknownMembers(options, optionNames, '/options'), ...unknownRetryMembers(options.retry));
  else if (options !== undefined) errors.push({ pointer: '/options', detail: 'must be an object' });
  if (errors.length > 0) return { errors };
  return {
    request: {
      type: type as string,
      payload: payload as JsonValue,
      ...(version === undefined ? {} : { version: version as number }),
      ...(options === undefined ? {} : { options: options as JsonObject }),
    },
  };
}

/** Reads `{reason}`, the body of a cancellation or of a retry. */
export function parseReason(body: unknown): { readonly reason: string } | { readonly errors: readonly RequestError[] } {
  if (!isJsonObject(body)) return { errors: [{ pointer: '', detail: 'must be a JSON object with a reason' }] };
  const errors = unknownMembers(body, ['reason'], '');
  const { reason } = body;
  const sound = typeof reason === 'string' && reason.length >= 1 && reason.length <= 500 && !findJsonProblem(reason, 1);
  if (!sound) errors.push({ pointer: '/reason', detail: 'must be a text of 1 to 500 characters' });
  return errors.length > 0 ? { errors } : { reason: reason as string };
}

/** Whether an Idempotency-Key may be used: 1 to 255 printable ASCII characters, those that a header carries unchanged. */
export function isIdempotencyKey(key: unknown): key is string {
  return typeof key === 'string' && /^[\x20-\x7e]{1,255}$/.test(key);
}

function unknownRetryMembers(retry: JsonValue | undefined): RequestError[] {
  return isJsonObject(retry) ? unknownMembers(retry, retryMembers, '/options/retry') : [];
}

function unknownMembers(object: JsonObject, known: readonly string[], base: string): RequestError[] {
  return Object.keys(object)
    .filter((name) => !known.includes(name))
    .slice(0, 10)
    .map((name) => ({ pointer: `${base}/${pointerToken(name.slice(0, 100))}`, detail: `is not known here; known are ${known.join(', ')}` }));
}

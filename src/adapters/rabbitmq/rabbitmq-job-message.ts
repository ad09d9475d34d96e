import type { MessagePropertyHeaders, Options } from 'amqplib';
import { instantText, parseInstant } from '../../domain/instant.ts';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';
import { jobId, type Job } from '../../domain/job.ts';
import { traceContextOf } from '../../domain/trace-context.ts';

/** The body of a job message: JSON, with the expiry as RFC 3339 in UTC, or null. Its trace stands in the headers. */
export function encodeJob({ expiresAtMs, traceparent: _, ...job }: Job): Buffer {
  return Buffer.from(JSON.stringify({ ...job, expiresAt: expiresAtMs === null ? null : instantText(expiresAtMs) }));
}

/** Every issue of an attempt has the same message id, so that people and tools recognise a repeat. */
export function jobProperties({ taskId, attempt, type, traceparent }: Job): Options.Publish {
  const properties = { contentType: 'application/json', messageId: jobId(taskId, attempt), type };
  return traceparent === undefined ? properties : { ...properties, headers: { traceparent } };
}

/** The job in a message's body and headers, or null when it is none. */
export function decodeJob(body: Buffer, headers: MessagePropertyHeaders = {}): Job | null {
  let value: JsonValue;
  try {
    value = JSON.parse(body.toString()) as JsonValue;
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { taskId, attempt, issue, queue, type, typeVersion, payload, timeoutMs, expiresAt } = value;
  if (typeof taskId !== 'string' || typeof queue !== 'string' || typeof type !== 'string' || payload === undefined) return null;
  if (!isCount(attempt) || !isCount(issue) || !isCount(typeVersion) || !isCount(timeoutMs)) return null;
  const expiresAtMs = typeof expiresAt === 'string' ? parseInstant(expiresAt) : null;
  if (expiresAt !== null && expiresAtMs === null) return null;
  return { taskId, attempt, issue, queue, type, typeVersion, payload, timeoutMs, expiresAtMs, ...traceContextOf(headers['traceparent']) };
}

function isCount(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

import { instantText, parseInstant } from '../../domain/instant.ts';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';
import type { HeldJob, Heartbeat } from '../../domain/heartbeat.ts';

/** A heartbeat, and its number among those of its writer: of two, the one with the higher number is newer. */
export interface NumberedHeartbeat {
  readonly heartbeat: Heartbeat;
  readonly sequence: number;
}

export function encodeHeartbeat({ heartbeat, sequence }: NumberedHeartbeat): Buffer {
  const { workerId, timeMs, stopped, startedAtMs, queues, concurrency, held } = heartbeat;
  const value = { workerId, sequence, time: instantText(timeMs), stopped, startedAt: instantText(startedAtMs), queues, concurrency, held };
  return Buffer.from(JSON.stringify(value));
}

/** Null for what is no heartbeat. Members that are not known are passed over: a newer worker may write more. */
export function decodeHeartbeat(bytes: Uint8Array): NumberedHeartbeat | null {
  const value = parse(bytes);
  if (!isJsonObject(value)) return null;
  const { workerId, sequence, time, stopped, startedAt, queues, concurrency, held } = value;
  const timeMs = instant(time);
  const startedAtMs = instant(startedAt);
  if (typeof workerId !== 'string' || typeof stopped !== 'boolean' || !isCount(sequence) || !isCount(concurrency) || timeMs === null || startedAtMs === null) return null;
  if (!Array.isArray(queues) || !queues.every((queue) => typeof queue === 'string')) return null;
  if (!Array.isArray(held) || !held.every(isHeldJob)) return null;
  return { sequence, heartbeat: { workerId, timeMs, stopped, startedAtMs, queues, concurrency, held: held.map(({ taskId, attempt }) => ({ taskId, attempt })) } };
}

function parse(bytes: Uint8Array): JsonValue {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as JsonValue;
  } catch {
    return null;
  }
}

function isHeldJob(value: unknown): value is HeldJob {
  return typeof value === 'object' && value !== null && 'taskId' in value && typeof value.taskId === 'string' && 'attempt' in value && isCount(value.attempt);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function instant(text: unknown): number | null {
  return typeof text === 'string' ? parseInstant(text) : null;
}

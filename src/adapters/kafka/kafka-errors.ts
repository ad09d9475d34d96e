import { protocolErrorsCodesById } from '@platformatic/kafka';
import { DaybookError } from '../../domain/errors.ts';
import { tlsAdvice } from '../../ports/tls-advice.ts';

/** Those of the protocol's error codes that decide what happens next. */
export const errorCode = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopic: 3,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  topicAuthorizationFailed: 29,
  unsupportedSaslMechanism: 33,
  topicAlreadyExists: 36,
  invalidReplicationFactor: 38,
  saslAuthenticationFailed: 58,
  invalidRecord: 87,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const;

/** An error code as the protocol's documentation names it. */
export function errorName(code: number): string {
  return String((protocolErrorsCodesById as Record<number, string>)[code] ?? `error ${code}`);
}

/** What a failure of the client library comes down to: the innermost messages, each once, and the setting to look at. */
export function describeFailure(error: unknown): string {
  const advice = adviceFor(error);
  return [...[...new Set(innermost(error))].slice(0, 3), ...(advice === null ? [] : [advice])].join('; ');
}

/** For a login that was refused, and for TLS that could not be agreed upon; null for everything else. */
function adviceFor(error: unknown): string | null {
  const codes = errorCodesIn(error);
  if (codes.includes(errorCode.saslAuthenticationFailed)) return 'look at DAYBOOK_KAFKA_USERNAME and DAYBOOK_KAFKA_PASSWORD';
  if (codes.includes(errorCode.unsupportedSaslMechanism)) return 'look at DAYBOOK_KAFKA_SASL';
  return tlsAdvice(error, { address: 'DAYBOOK_KAFKA_BROKERS', authority: 'DAYBOOK_KAFKA_CA_FILE', tls: 'DAYBOOK_KAFKA_TLS' });
}

/** The protocol's error codes in a failure of the client library, which nests them. */
export function errorCodesIn(error: unknown): number[] {
  if (!(error instanceof Error)) return [];
  const own = 'apiCode' in error && typeof error.apiCode === 'number' ? [error.apiCode] : [];
  return [...own, ...partsOf(error).flatMap(errorCodesIn)];
}

/** The log did not answer, or not as needed; asking again may help. */
export function unavailable(message: string, cause?: unknown): DaybookError {
  return new DaybookError('log-unavailable', message, { cause });
}

/** @param knownId of the topic that was there before; undefined: none is known */
export function topicMissing(topic: string, knownId: string | undefined): DaybookError {
  if (knownId === undefined) return unavailable(`The topic ${topic} does not exist. Create it with: daybook topic create`);
  return unavailable(`The topic ${topic} (id ${knownId}) does not exist any more: unless it comes back, its history is lost. Restore it; do not create an empty one`);
}

function innermost(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const parts = partsOf(error);
  return parts.length > 0 ? parts.flatMap(innermost) : [describe(error)];
}

function partsOf(error: Error): unknown[] {
  if (error instanceof AggregateError) return error.errors;
  return error.cause === undefined ? [] : [error.cause];
}

function describe(error: Error): string {
  return 'apiId' in error ? `${String(error.apiId)}: ${error.message}` : error.message;
}

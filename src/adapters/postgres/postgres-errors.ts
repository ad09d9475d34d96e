import { DatabaseError } from 'pg';

/**
 * PostgreSQL did not answer: there was no connection, it broke, or the answer did not come in time. It is not known
 * whether what was asked took effect. The alternative is a refusal: an answer with an SQLSTATE, after which nothing
 * of the statement stays.
 */
export class PostgresUnreachable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PostgresUnreachable';
  }
}

/** Codes (postgresql.org/docs/current/errcodes-appendix.html) by which the server says that it, or its time, is up. */
const unreachableStates = new Set([
  '53300', // too_many_connections
  '57014', // query_canceled: the statement timeout
  '55P03', // lock_not_available: the lock timeout
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
  '57P01', // admin_shutdown, also a terminated session
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now: it is starting or stopping
  '57P05', // idle_session_timeout
]);
const missingStates = new Set([
  '3F000', // invalid_schema_name
  '42P01', // undefined_table
  '42883', // undefined_function
]);
const raceStates = new Set([
  '23505', // unique_violation
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  'P0002', // no_data_found
]);

/** Whether the server's own answer says that the connection or the time ran out. Class 08 is "connection exception". */
export function saysUnreachable(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== null && (state.startsWith('08') || unreachableStates.has(state));
}

/** Whether tables, functions or the schema are not there: never made, or dropped under a running process. */
export function saysMissing(error: unknown): boolean {
  return missingStates.has(sqlStateOf(error) ?? '');
}

/** Whether another transaction came between: nothing was changed, and the same statement may well succeed now. */
export function saysRace(error: unknown): boolean {
  return raceStates.has(sqlStateOf(error) ?? '');
}

/** The server's SQLSTATE; null for an error that the server did not send. */
export function sqlStateOf(error: unknown): string | null {
  return error instanceof DatabaseError ? (error.code ?? null) : null;
}

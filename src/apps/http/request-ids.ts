import { randomBytes } from 'node:crypto';

/** Ids that tie an answer to a log line: unique among processes by a random start, cheap by counting on. */
export function requestIds(): () => string {
  const process = randomBytes(6).toString('hex');
  let count = 0;
  return () => `${process}-${(++count).toString(36)}`;
}

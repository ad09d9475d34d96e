import { createHash } from 'node:crypto';
import type { Evidence, RecordedEvent } from './evidence.ts';
import { at, historiesOfTasks } from './histories-of-tasks.ts';

const namespace = Buffer.from('485cfe1c-3e93-4940-ba20-e56b15407a61'.replaceAll('-', ''), 'hex');

/**
 * Every event id follows from what the event says, by the rule that is promised to other programs. Written from that
 * rule, not from the producer: the same mistake in both would go unseen.
 */
export function eventIds({ records }: Evidence): string[] {
  const histories = historiesOfTasks(records);
  return [...histories.values()].flatMap((history) =>
    history
      .filter((record, index) => !possibleNames(record, history.slice(0, index)).some((name) => uuidv5(name) === record.id))
      .map((record) => `${at(record)} has the id ${record.id}, which does not follow from it`),
  );
}

type Name = readonly (string | number | null)[];

/** What the id may be derived from: one name, or one for each event that can have caused a decision. */
function possibleNames(record: RecordedEvent, before: readonly RecordedEvent[]): Name[] {
  const { type, data, value } = record;
  const { attempt = 0, attempts = 0, issue = 0, queue = '', executionId = null, sequence = 0, cause = '', reason = '', requestId = '' } = data;
  const named = (...choices: Name): Name => [data.taskId ?? '', type, ...choices];
  const caused = (numbers: readonly number[], ...causes: string[]) =>
    before.filter((event) => causes.includes(event.type)).flatMap(({ id }) => numbers.map((number) => named(number, reason, id)));
  switch (type) {
    case 'TaskAccepted':
      return [named(createHash('sha256').update(value).digest('hex'))];
    case 'TaskRejected':
      return [named()];
    case 'TaskDispatched':
      return [named(attempt, issue, queue)];
    case 'TaskExecutionStarted':
    case 'TaskExecutionCompleted':
      return [named(attempt, executionId)];
    case 'TaskExecutionFailed':
      return [named(attempt, executionId, cause)];
    case 'TaskExecutionProgressed':
      return [named(attempt, executionId, sequence)];
    case 'TaskRetryRequested':
    case 'TaskCancellationRequested':
      return [named(requestId)];
    case 'TaskRetryScheduled':
      return caused([attempt], reason === 'operator' ? 'TaskRetryRequested' : 'TaskExecutionFailed');
    case 'TaskCancelled':
      return caused(attemptsHandedOut(before), 'TaskCancellationRequested');
    case 'TaskFailedPermanently':
      return caused([attempts], 'TaskExecutionFailed', ...(reason === 'expired' ? ['TaskAccepted', 'TaskRetryScheduled'] : []));
    default:
      return [];
  }
}

/** A cancellation does not say its attempt: the newest that was handed out when it was decided, or 0 for none. */
function attemptsHandedOut(before: readonly RecordedEvent[]): number[] {
  return [0, ...before.filter(({ type }) => type === 'TaskDispatched' || type === 'TaskExecutionStarted').map(({ data }) => data.attempt ?? 0)];
}

/** RFC 9562, section 5.5. Texts and whole numbers: JSON.stringify writes them canonically. */
function uuidv5(name: Name): string {
  const bytes = createHash('sha1').update(namespace).update(JSON.stringify(name)).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) % 16) + 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) % 64) + 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

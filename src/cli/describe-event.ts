import type { EventItem } from '../client/answers.ts';
import { formatDuration } from './format.ts';
import { oneLine } from './table.ts';
import type { Colour } from './terminal.ts';

export interface EventDescription {
  readonly word: string;
  readonly detail: string;
  readonly colour: Colour;
}

type Data = Readonly<Record<string, unknown>>;

const descriptions: Readonly<Record<string, (data: Data, event: EventItem) => EventDescription>> = {
  TaskAccepted: (data) => say('accepted', 'bold', `by ${text(data, 'submitter')}`, optionsOf(data)),
  TaskRejected: (data) => say('rejected', 'red', text(data, 'code'), violationsOf(data)),
  TaskDispatched: (data) =>
    say('dispatched', 'bold', attemptOf(data), `queue ${text(data, 'queue')}`, issueOf(data), text(data, 'reason')),
  TaskExecutionStarted: (data) =>
    say(
      'started', 'bold',
      attemptOf(data), `on ${text(data, 'workerId')}`, issueOf(data),
      data['redelivered'] === true ? 'redelivered' : '', data['guarded'] === false ? 'unguarded' : '',
    ),
  TaskExecutionProgressed: (data) => say('progress', 'dim', `${Math.round(Number(data['fraction']) * 100)} %`, text(data, 'note')),
  TaskExecutionCompleted: (data) => say('completed', 'green', attemptOf(data), ranFor(data)),
  TaskExecutionFailed: (data) => say('attempt failed', 'yellow', attemptOf(data), ranFor(data), errorOf(data)),
  TaskRetryRequested: (data) => say('retry asked for', 'bold', `by ${text(data, 'by')}`, text(data, 'reason')),
  TaskRetryScheduled: (data, event) => say('retry planned', 'yellow', attemptOf(data), dueIn(data, event), text(data, 'reason') === 'operator' ? 'by an operator' : ''),
  TaskCancellationRequested: (data) => say('cancel asked for', 'bold', `by ${text(data, 'by')}`, text(data, 'reason')),
  TaskCancelled: (data) => say('cancelled', 'yellow', text(data, 'reason')),
  TaskFailedPermanently: (data) => say('failed', 'red', text(data, 'reason'), `after ${Number(data['attempts'])} attempts`),
};

/** A record in a few words. An event of a newer build is shown by its name. */
export function describeEvent(event: EventItem): EventDescription {
  const describe = descriptions[event.type];
  return describe ? describe(membersOf(event), event) : { word: oneLine(event.type), detail: '', colour: 'dim' };
}

function membersOf({ data }: EventItem): Data {
  return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Data) : {};
}

function say(word: string, colour: Colour, ...details: readonly string[]): EventDescription {
  return { word, colour, detail: oneLine(details.filter((detail) => detail !== '').join(', ')) };
}

function text(data: Data, name: string): string {
  const value = data[name];
  return value === undefined || value === null ? '' : String(value);
}

function attemptOf(data: Data): string {
  return data['attempt'] === undefined ? '' : `attempt ${String(data['attempt'])}`;
}

function issueOf(data: Data): string {
  return Number(data['issue'] ?? 1) > 1 ? `issue ${String(data['issue'])}` : '';
}

function ranFor(data: Data): string {
  return typeof data['durationMs'] === 'number' ? `ran ${formatDuration(data['durationMs'])}` : '';
}

function errorOf(data: Data): string {
  const { name, message } = (data['error'] ?? {}) as Data;
  const cause = text(data, 'cause');
  return `${cause === 'handler' || cause === '' ? '' : `${cause}: `}${String(name ?? 'Error')}: ${String(message ?? '')}`;
}

function dueIn(data: Data, event: EventItem): string {
  const delayMs = Date.parse(text(data, 'dueAt')) - Date.parse(event.time);
  if (Number.isNaN(delayMs)) return '';
  return delayMs > 0 ? `due in ${formatDuration(delayMs)}` : 'due at once';
}

function optionsOf(data: Data): string {
  const options = (data['options'] ?? {}) as Data;
  const delay = typeof options['delayMs'] === 'number' ? `not before ${formatDuration(options['delayMs'])} from here` : '';
  return [delay, options['notBefore'] === undefined ? '' : `not before ${text(options, 'notBefore')}`].filter(Boolean).join(', ');
}

function violationsOf(data: Data): string {
  const violations = Array.isArray(data['violations']) ? (data['violations'] as Data[]) : [];
  return violations.map((violation) => `${text(violation, 'pointer')} ${text(violation, 'rule')}`.trim()).join(', ');
}

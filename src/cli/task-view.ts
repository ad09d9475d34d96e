import type { EventItem, TaskState, TaskView } from '../client/answers.ts';
import { describeEvent } from './describe-event.ts';
import { formatDuration, formatInstant } from './format.ts';
import { oneLine, renderTable } from './table.ts';
import type { Colour, Paint } from './terminal.ts';

const stateColours: Readonly<Record<TaskState, Colour>> = {
  accepted: 'cyan',
  dispatched: 'cyan',
  running: 'cyan',
  retrying: 'yellow',
  completed: 'green',
  failed: 'red',
  cancelled: 'yellow',
  rejected: 'red',
};

export function paintState(state: TaskState, paint: Paint): string {
  return paint[stateColours[state] ?? 'bold'](state);
}

/** A task as a person wants to see it: what it is, how it stands, and its history as a timeline. */
export function renderTask(task: TaskView, events: readonly EventItem[], paint: Paint, columns: number | null): string {
  const version = task.typeVersion === null ? '' : ` v${task.typeVersion}`;
  const head = `${paintState(task.state, paint)}  ${paint.bold(`${task.type ?? 'unknown type'}${version}`)}  ${task.id}`;
  const facts = renderTable(
    [{ title: '' }, { title: '' }],
    factsOf(task).map(([name, value]) => [paint.dim(name), oneLine(value)]),
    { columns, indent: '  ' },
  );
  const timeline = events.length === 0 ? [] : ['', renderTimeline(events, paint, columns)];
  return [head, facts, ...timeline].join('\n');
}

/** One line per record, with the time since the first. */
export function renderTimeline(events: readonly EventItem[], paint: Paint, columns: number | null): string {
  const startMs = Date.parse(events[0]?.time ?? '');
  const rows = events.map((event) => {
    const sinceMs = Date.parse(event.time) - startMs;
    const { word, detail, colour } = describeEvent(event);
    const flag = flagOf(event);
    return [
      paint.dim(`${event.partition}/${event.offset}`),
      formatInstant(event.time),
      Number.isNaN(sinceMs) ? '' : `${sinceMs < 0 ? '-' : '+'}${formatDuration(Math.abs(sinceMs))}`,
      flag === null ? paint[colour](word) : paint.dim(word),
      flag === null ? detail : paint.dim([flag, detail].filter((part) => part !== '').join(', ')),
    ];
  });
  const titles = [{ title: 'record', align: 'right' }, { title: 'time (UTC)' }, { title: 'since', align: 'right' }, { title: 'event' }, { title: '' }] as const;
  return renderTable(titles, rows, { columns, title: paint.dim, indent: '  ' });
}

function factsOf(task: TaskView): ReadonlyArray<readonly [string, string]> {
  const facts: Array<readonly [string, string | null | undefined]> = [
    ['attempt', attemptOf(task)],
    ['queue', task.queue && `${task.queue}${task.priority ? `, priority ${task.priority}` : ''}`],
    ['worker', task.workerId],
    ['due', task.dueAt && formatInstant(task.dueAt)],
    ['expires', task.expiresAt && formatInstant(task.expiresAt)],
    ['progress', task.progress && `${Math.round(task.progress.fraction * 100)} %${task.progress.note ? `, ${task.progress.note}` : ''}`],
    ['took', tookOf(task)],
    ['payload', jsonOf(task.payload)],
    ['result', jsonOf(task.result)],
    ['error', task.error && `${task.error.name}: ${task.error.message}`],
    ...(task.error?.violations ?? []).map(({ pointer, rule }) => ['broken', `${pointer} ${rule}`] as const),
    ['reason', task.reason],
    ['batch', task.batch],
    ['parent', task.parent],
    ['tags', Object.entries(task.tags).map(([name, value]) => `${name}=${value}`).join(' ')],
    ...task.anomalies.map(({ code, detail }) => ['anomaly', `${code}: ${detail}`] as const),
  ];
  return facts.filter((fact): fact is readonly [string, string] => Boolean(fact[1]));
}

/** An operator's retry opens a new budget, so the number may be above it. */
function attemptOf({ state, attempt, maxAttempts }: TaskView): string | null {
  if (state === 'rejected') return null;
  return attempt > maxAttempts ? `${attempt}, the budget of ${maxAttempts} was renewed by an operator` : `${attempt} of ${maxAttempts}`;
}

/** From acceptance to the end; null before that. */
export function tookOf(task: TaskView): string | null {
  const durationMs = Date.parse(task.finishedAt ?? '') - Date.parse(task.acceptedAt ?? '');
  return Number.isNaN(durationMs) ? null : formatDuration(durationMs);
}

function jsonOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** Why a record changed nothing; null when it did. */
function flagOf(event: EventItem): string | null {
  if (event.duplicateOf !== undefined) return `copy of ${event.partition}/${event.duplicateOf}`;
  return event.void === undefined ? null : `void: ${event.void.code}`;
}

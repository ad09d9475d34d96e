import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { everyTaskEnds } from '../guarantees/every-task-ends.ts';
import { recordedEvent, type Evidence, type RecordedEvent } from '../guarantees/evidence.ts';
import { guaranteesAtQuiescence, violations } from '../guarantees/guarantees.ts';
import { rebuiltViewEqualsLive, viewSaysHowTasksEnded, type View } from '../guarantees/rebuilt-view-equals-live.ts';
import { replayIsSilent } from '../guarantees/replay-is-silent.ts';
import { storedRecords, taskId } from '../support/stored-records.ts';
import { history } from '../support/task-history.ts';

// A checker that has never been red proves nothing: each is fed a sound run, and the same run doctored.

const worker = { workerId: 'host-7' };
const retried = history(taskId(1)).accepted().dispatched(1).started(1, 'e1', worker).failed(1, 'e1').retryScheduled(2).dispatched(2).started(2, 'e2', worker).completed(2, 'e2').again();
const restarted = history(taskId(2)).accepted().dispatched(1).started(1, 'f1', worker).started(1, 'f2', { workerId: 'host-8' }).completed(1, 'f2');
const rejected = history(taskId(3)).rejected();
const cancelled = history(taskId(4)).accepted({ options: { delayMs: 60_000 } }).cancellationRequested().cancelled(0);
const redriven = history(taskId(5)).accepted().dispatched(1).started(1, 'g1', worker).failed(1, 'g1', { retryable: false })
  .failedPermanently({ reason: 'not-retryable' }).retryRequested().retryScheduled(2, { reason: 'operator' }).dispatched(2).started(2, 'g2', worker).completed(2, 'g2');
const expired = history(taskId(6)).accepted({ options: { expiresInMs: 1_000 } }).failedPermanently({ reason: 'expired', attempts: 0 });

const writers: Readonly<Record<string, string>> = {
  TaskAccepted: 'api', TaskRejected: 'api', TaskRetryRequested: 'api', TaskCancellationRequested: 'api',
  TaskDispatched: 'dispatcher', TaskRetryScheduled: 'dispatcher', TaskCancelled: 'dispatcher', TaskFailedPermanently: 'dispatcher',
};

function soundRun(): Evidence {
  const stored = storedRecords([retried, restarted, rejected, cancelled, redriven, expired].flatMap(({ records }) => records));
  const records = stored.map((record) => withHeader(recordedEvent(record), 'ce_source', (_old, { type }) => `/daybook/${writers[type] ?? 'worker'}/host-7`));
  const effects = records
    .filter(({ type }) => type === 'TaskExecutionStarted')
    .map(({ key, data }) => ({ taskId: key ?? '', attempt: data.attempt ?? 0, pid: Number(data.workerId?.split('-')[1]) }));
  const receipts = records
    .filter(({ type }) => type === 'TaskAccepted')
    .map(({ key, id, time, partition, offset, value }) => ({
      id: key ?? '',
      receipt: { eventId: id, topic: 'task-lifecycle', partition, offset, sha256: createHash('sha256').update(value).digest('hex'), acceptedAt: time },
    }));
  return { records, receipts, effects, jobs: [], parkedJobs: 0, heldClaims: [] };
}

function withHeader(record: RecordedEvent, name: string, change: (old: string, record: RecordedEvent) => string): RecordedEvent {
  return recordedEvent({ ...record, headers: record.headers.map(([header, value]) => [header, header === name ? change(value, record) : value]) });
}

function withData(record: RecordedEvent, change: object): RecordedEvent {
  return recordedEvent({ ...record, value: Buffer.from(JSON.stringify({ ...record.data, ...change })) });
}

type Doctor = (records: RecordedEvent[]) => RecordedEvent[];

const isOf = (number: number, type: string) => (record: RecordedEvent) => record.key === taskId(number) && record.type === type;
const without = (matches: (record: RecordedEvent) => boolean): Doctor => (records) => records.filter((record) => !matches(record));
const changed = (matches: (record: RecordedEvent) => boolean, change: (record: RecordedEvent) => RecordedEvent): Doctor => (records) => records.map((record) => (matches(record) ? change(record) : record));
const added = (after: (record: RecordedEvent) => boolean, make: (record: RecordedEvent) => RecordedEvent): Doctor => (records) => records.flatMap((record) => (after(record) ? [record, make(record)] : [record]));
/** Puts the record behind all others of its task. */
const last = (matches: (record: RecordedEvent) => boolean): Doctor => (records) => [...records.filter((record) => !matches(record)), ...records.filter(matches)];

const withId = (id: string) => (record: RecordedEvent) => withHeader(record, 'ce_id', () => id);

const doctoredLogs: ReadonlyArray<readonly [wound: string, guarantee: string, says: RegExp, doctor: Doctor]> = [
  ['an accepted task is gone from the log', 'G1 accepted means recorded', /names 0\/0, where/, without(isOf(1, 'TaskAccepted'))],
  ['the record at a receipt has another value', 'G1 accepted means recorded', /the SHA-256 of the value is/, changed(isOf(1, 'TaskAccepted'), (record) => withData(record, { submitter: 'eve' }))],
  ['the record at a receipt has another time', 'G1 accepted means recorded', /the time is/, changed(isOf(1, 'TaskAccepted'), (record) => withHeader(record, 'ce_time', () => '2020-01-01T00:00:00.000Z'))],
  ['a dispatch stands before the acceptance', 'G2 order per task', /TaskDispatched .* stands before TaskAccepted/, last(isOf(2, 'TaskAccepted'))],
  ['an outcome stands before its start', 'G2 order per task', /TaskExecutionFailed .* stands before TaskExecutionStarted/, last(isOf(1, 'TaskExecutionStarted'))],
  ['an attempt runs without its retry', 'G2 order per task', /stands before TaskRetryScheduled/, without(isOf(1, 'TaskRetryScheduled'))],
  ['a retry has no failure', 'G2 order per task', /TaskRetryScheduled .* stands before TaskExecutionFailed/, without(isOf(1, 'TaskExecutionFailed'))],
  ['a cancellation nobody asked for', 'G2 order per task', /TaskCancelled .* stands before TaskCancellationRequested/, without(isOf(4, 'TaskCancellationRequested'))],
  ['a redrive nobody asked for', 'G2 order per task', /stands before TaskRetryRequested/, without(isOf(5, 'TaskRetryRequested'))],
  ['a second acceptance with other content', 'G3 one dispatch per attempt', /TaskAccepted .* is a second one/, added(isOf(2, 'TaskAccepted'), (record) => withId('another')(withData(record, { requestDigest: 'other' })))],
  ['a second dispatch of an attempt', 'G3 one dispatch per attempt', /attempt 1 issue 1/, added(isOf(2, 'TaskDispatched'), withId('another'))],
  ['a dispatch that skips an issue', 'G3 one dispatch per attempt', /has issue 3, which is not the next one/, changed(isOf(2, 'TaskDispatched'), (record) => withData(record, { issue: 3 }))],
  ['an attempt runs twice in one process', 'G3 one dispatch per attempt', /is a second one attempt 1 at host-8/, added((record) => record.data.executionId === 'f2' && record.type === 'TaskExecutionStarted', (record) => withId('another')(withData(record, { executionId: 'f3' })))],
  ['an attempt runs again after its outcome', 'G3 one dispatch per attempt', /runs attempt 1 again, which has its outcome/, added(isOf(2, 'TaskExecutionCompleted'), (record) => withHeader(withId('another')(withData(record, { workerId: 'host-9', executionId: 'f3' })), 'ce_type', () => 'TaskExecutionStarted'))],
  ['an attempt has two outcomes', 'G3 one dispatch per attempt', /is a second outcome of attempt 1/, added(isOf(5, 'TaskExecutionFailed'), withId('another'))],
  ['a task ends twice', 'G3 one dispatch per attempt', /ends a task that has ended/, added(isOf(4, 'TaskCancelled'), withId('another'))],
  ['an outcome is lost and its job is gone', 'G4 outcome before ack', /has neither its job nor an outcome of attempt 2/, without(isOf(1, 'TaskExecutionCompleted'))],
  ['a task never ends', 'G5 every task ends', /was accepted and neither ended nor waits: its last event is TaskAccepted/, without(isOf(6, 'TaskFailedPermanently'))],
  ['a redriven task never ends again', 'G5 every task ends', /its last event is TaskExecutionStarted/, without(isOf(5, 'TaskExecutionCompleted'))],
  ['a dispatch is never recorded', 'G5 every task ends', /started, and its dispatch was never recorded/, without(isOf(2, 'TaskDispatched'))],
  ['a start has neither outcome nor job', 'G8 shutdown loses nothing', /has neither an outcome nor its job/, without(isOf(2, 'TaskExecutionCompleted'))],
  ['an offset is missing', 'record form', /offset 3 of partition 0 is missing/, without(({ offset }) => offset === 3)],
  ['a record is in another partition', 'record form', /is missing/, changed(({ offset }) => offset === 3, (record) => ({ ...record, partition: 1 }))],
  ['a header stands twice', 'record form', /the headers are not the promised ones/, changed(({ offset }) => offset === 3, (record) => recordedEvent({ ...record, headers: [...record.headers, ['ce_id', record.id]] }))],
  ['a header too many', 'record form', /the headers are not the promised ones/, changed(({ offset }) => offset === 3, (record) => recordedEvent({ ...record, headers: [...record.headers, ['x-extra', '1']] }))],
  ['a role writes what is not its own', 'record form', /ce_source is not/, changed(isOf(2, 'TaskDispatched'), (record) => withHeader(record, 'ce_source', () => '/daybook/diary/host-7'))],
  ['a time has no zone', 'record form', /ce_time is no/, changed(isOf(2, 'TaskDispatched'), (record) => withHeader(record, 'ce_time', () => '2026-01-01T09:00:00.000'))],
  ['a value names another task', 'record form', /key, ce_subject and taskId differ/, changed(isOf(2, 'TaskDispatched'), (record) => withData(record, { taskId: taskId(9) }))],
  ['a value has a member too many', 'record form', /the members are/, changed(isOf(2, 'TaskDispatched'), (record) => withData(record, { password: 'x' }))],
  ['a request names a type', 'record form', /a request names a type/, changed(isOf(4, 'TaskCancellationRequested'), (record) => withData(record, { type: 'x', typeVersion: 1 }))],
  ['a copy has another value', 'record form', /has the id of TaskExecutionCompleted .* and another value/, (records) => records.map((record) => (isOf(1, 'TaskExecutionCompleted')(record) && record.offset === 8 ? withData(record, { durationMs: 41 }) : record))],
  ...['TaskAccepted', 'TaskRejected', 'TaskDispatched', 'TaskExecutionStarted', 'TaskExecutionCompleted', 'TaskExecutionFailed', 'TaskRetryRequested', 'TaskRetryScheduled', 'TaskCancellationRequested', 'TaskCancelled', 'TaskFailedPermanently'].map(
    (type) => [`the id of a ${type} is made up`, 'event ids', new RegExp(`^${type} .* does not follow from it`), changed((record) => record.type === type, withId(taskId(99)))] as const,
  ),
  ['a start is hidden from history', 'effects have starts', /ran 1 times and has 0 starts/, without((record) => record.data.executionId === 'f1' && record.type === 'TaskExecutionStarted')],
];

describe('the guarantees', () => {
  it('hold for a sound run', () => {
    expect(violations(guaranteesAtQuiescence, soundRun())).toEqual({});
  });

  it.each(doctoredLogs)('see it when %s (%s)', (_wound, guarantee, says, doctor) => {
    const run = soundRun();
    const found = violations(guaranteesAtQuiescence, { ...run, records: doctor([...run.records]) });
    expect(found[guarantee]?.join('\n')).toMatch(says);
  });

  it('see what is left in the queue and in the claims', () => {
    const left = { taskId: taskId(1), attempt: 2, issue: 1 };
    const found = violations(guaranteesAtQuiescence, { ...soundRun(), jobs: [left], parkedJobs: 1, heldClaims: [left] });
    expect(Object.keys(found)).toEqual(['G5 every task ends', 'G8 shutdown loses nothing']);
    expect(found['G5 every task ends']).toHaveLength(2);
  });

  it('see a run of a handler that history knows nothing of, and a completion that nothing ran', () => {
    const run = soundRun();
    const effect = { taskId: taskId(2), attempt: 1, pid: 8 };
    expect(violations(guaranteesAtQuiescence, { ...run, effects: [...run.effects!, effect] })).toHaveProperty(['effects have starts']);
    const untold = run.effects!.filter((known) => known.taskId !== taskId(2));
    expect(violations(guaranteesAtQuiescence, { ...run, effects: untold })).toHaveProperty(['effects have starts']);
  });

  it('let a task wait for its time, and no longer', () => {
    const records = storedRecords(history(taskId(7)).accepted({ options: { delayMs: 60_000 } }).records).map((record) => recordedEvent(record));
    const run = { ...soundRun(), records };
    const acceptedMs = Date.parse(records[0]!.time);
    expect(everyTaskEnds(run, acceptedMs + 59_999)).toEqual([]);
    expect(everyTaskEnds(run, acceptedMs + 60_000)).toHaveLength(1);
  });
});

describe('G6 replay is silent', () => {
  const run = soundRun();

  it('holds when nothing changed', () => {
    expect(replayIsSilent(run, run)).toEqual([]);
  });

  it('sees a record, a job, a run of a handler, and a log that shrank', () => {
    expect(replayIsSilent({ ...run, records: run.records.slice(1) }, run)).toHaveLength(1);
    expect(replayIsSilent(run, { ...run, jobs: [{ taskId: taskId(1), attempt: 1, issue: 1 }] })).toHaveLength(1);
    expect(replayIsSilent({ ...run, effects: [] }, run)).toHaveLength(1);
    expect(replayIsSilent(run, { ...run, records: run.records.slice(1) })).toHaveLength(1);
  });
});

describe('G7 the rebuilt view is the live view', () => {
  const endings = [[1, 'completed'], [2, 'completed'], [3, 'rejected'], [4, 'cancelled'], [5, 'completed'], [6, 'failed']] as const;
  const view: View = { positions: { 0: 9 }, digest: 'd', tasks: new Map(endings.map(([number, state]) => [taskId(number), { state }])) };
  const told = (number: number, state: string): View => ({ ...view, tasks: new Map([...view.tasks, [taskId(number), { state }]]) });

  it('holds when both say the same', () => {
    expect(rebuiltViewEqualsLive(view, { ...view })).toEqual([]);
    expect(viewSaysHowTasksEnded(soundRun().records, view)).toEqual([]);
  });

  it('sees a task that is told otherwise, one that is gone, another digest, another position', () => {
    expect(rebuiltViewEqualsLive(view, told(4, 'completed'))).toHaveLength(1);
    expect(rebuiltViewEqualsLive(view, { ...view, tasks: new Map() })).toHaveLength(6);
    expect(rebuiltViewEqualsLive(view, { ...view, digest: 'e' })).toHaveLength(1);
    expect(rebuiltViewEqualsLive({ ...view, digest: null }, { ...view, digest: null })).toHaveLength(1);
    expect(rebuiltViewEqualsLive(view, { ...view, positions: { 0: 8 } })).toHaveLength(1);
  });

  it('sees a view that tells another end than the log', () => {
    expect(viewSaysHowTasksEnded(soundRun().records, told(5, 'failed'))).toHaveLength(1);
  });
});

import type { Evidence, RecordedEvent } from './evidence.ts';
import { at } from './histories-of-tasks.ts';

const requiredHeaders = [
  'ce_dataschema', 'ce_id', 'ce_source', 'ce_specversion', 'ce_subject', 'ce_tenant', 'ce_time', 'ce_type', 'content-type',
];

/** Who writes an event, which members its value has beside taskId, type and typeVersion, and which of them it may lack. */
const forms: Readonly<Record<string, { readonly by: string; readonly members: string; readonly optional?: string }>> = {
  TaskAccepted: { by: 'api|worker', members: 'payload options retry timeoutMs submitter requestDigest', optional: 'batch parent tags idempotencyKeyDigest' },
  TaskRejected: { by: 'api', members: 'code violations' },
  TaskDispatched: { by: 'dispatcher', members: 'attempt queue issue', optional: 'reason' },
  TaskExecutionStarted: { by: 'worker', members: 'attempt issue queue executionId workerId handlerVersion redelivered guarded' },
  TaskExecutionProgressed: { by: 'worker', members: 'attempt executionId sequence fraction', optional: 'note' },
  TaskExecutionCompleted: { by: 'worker', members: 'attempt executionId workerId result durationMs' },
  TaskExecutionFailed: { by: 'worker', members: 'attempt error cause', optional: 'executionId workerId durationMs' },
  TaskRetryRequested: { by: 'api', members: 'requestId reason by' },
  TaskRetryScheduled: { by: 'dispatcher', members: 'attempt dueAt reason policy' },
  TaskCancellationRequested: { by: 'api', members: 'requestId reason by' },
  TaskCancelled: { by: 'dispatcher', members: 'reason' },
  TaskFailedPermanently: { by: 'dispatcher', members: 'reason attempts' },
};

/** Every record has the form that is promised to other programs, and no partition's offsets have a gap from 0. */
export function recordForm({ records }: Evidence): string[] {
  return [...gaps(records), ...records.flatMap((record) => faults(record).map((fault) => `${at(record)}: ${fault}`)), ...changedValues(records)];
}

/** Records stand in the order of their offsets within each partition. */
function gaps(records: readonly RecordedEvent[]): string[] {
  const next = new Map<number, number>();
  for (const record of records) {
    const { partition, offset } = record;
    const expected = next.get(partition) ?? 0;
    if (offset !== expected) return [`offset ${expected} of partition ${partition} is missing: ${at(record)} stands in its place`];
    next.set(partition, expected + 1);
  }
  return [];
}

function faults(record: RecordedEvent): string[] {
  const { headers, type, key, data } = record;
  const form = forms[type];
  if (!form) return ['is no event'];
  const header = Object.fromEntries(headers);
  const names = headers.map(([name]) => name).filter((name) => name !== 'traceparent' || header['traceparent'] === undefined);
  const isRequest = type.endsWith('Requested');
  const expected: ReadonlyArray<readonly [what: string, holds: boolean]> = [
    ['the headers are not the promised ones, each once', names.sort().join() === requiredHeaders.join()],
    ['ce_specversion is not 1.0', header['ce_specversion'] === '1.0'],
    ['content-type is not application/json', header['content-type'] === 'application/json'],
    ['ce_tenant is not default', header['ce_tenant'] === 'default'],
    ['ce_dataschema is not /schemas/<event>/<version>', new RegExp(`^/schemas/${type}/[1-9]\\d*$`).test(header['ce_dataschema'] ?? '')],
    ['ce_time is no RFC 3339 instant in UTC with milliseconds', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(header['ce_time'] ?? '')],
    [`ce_source is not /daybook/${form.by}/<instance>`, new RegExp(`^/daybook/(${form.by})/[^/]+$`).test(header['ce_source'] ?? '')],
    ['key, ce_subject and taskId differ', key !== null && key === header['ce_subject'] && key === data.taskId],
    ['the key is no UUID in lower case', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key ?? '')],
    [isRequest ? 'a request names a type' : 'the value names no type', isRequest ? !('type' in data || 'typeVersion' in data) : typeof data['type'] === 'string'],
    [`the members are ${Object.keys(data).join()}`, hasMembers(data, form.members, form.optional, isRequest)],
  ];
  return expected.filter(([, holds]) => !holds).map(([what]) => what);
}

function hasMembers(data: RecordedEvent['data'], members: string, optional = '', isRequest: boolean): boolean {
  const required = [...members.split(' '), 'taskId', ...(isRequest ? [] : ['type', 'typeVersion'])];
  const allowed = new Set([...required, ...optional.split(' ')]);
  return required.every((name) => name in data) && Object.keys(data).every((name) => allowed.has(name));
}

/** One event id, one value: only ce_time, ce_source and traceparent may differ between copies. */
function changedValues(records: readonly RecordedEvent[]): string[] {
  const first = new Map<string, RecordedEvent>();
  return records.flatMap((record) => {
    const earlier = first.get(record.id);
    if (!earlier) first.set(record.id, record);
    return !earlier || Buffer.compare(earlier.value, record.value) === 0 ? [] : [`${at(record)} has the id of ${at(earlier)} and another value`];
  });
}

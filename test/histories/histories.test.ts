import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decide, defaultDispatchPolicy } from '../../src/domain/dispatch-policy.ts';
import { decodeEvent, encodeEvent, encodeValue } from '../../src/domain/event-codec.ts';
import { evolve, fold } from '../../src/domain/evolve.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import { schemaVersions, taskEventTypes } from '../../src/domain/task-events.ts';
import { executionsInDoubt, phaseOf, type TaskState } from '../../src/domain/task-state.ts';

/*
 * Histories as they were recorded, one folder per schema version, with what they add up to. What stands in a log
 * for ever must be read for ever: a change of the events adds files here and never edits one.
 */
interface RecordedHistory {
  readonly name: string;
  readonly records: readonly LogRecord[];
  readonly expected: { readonly decisions: { readonly nowMs: number; readonly made: readonly object[] } };
}

const histories = readdirSync(new URL('./v1/', import.meta.url)).map(read);

describe.each(histories)('$name', ({ records, expected }) => {
  const taskId = records[0]?.key ?? '';
  const events = records.map((record) => decodeEvent(record));
  const state = fold(taskId, events);

  it('adds up to the expected state and the expected decisions', () => {
    const { decisions, ...rest } = expected;
    expect(summaryOf(state)).toEqual(rest);
    expect(decide(state, defaultDispatchPolicy, decisions.nowMs)).toEqual(decisions.made);
  });

  it('adds up to the same when the state is stored after each event', () => {
    const stored = events.reduce<TaskState>((so, event) => evolve(JSON.parse(JSON.stringify(so)) as TaskState, event), fold(taskId, []));
    expect(stored).toEqual(state);
  });

  it('is written today as it was written then', () => {
    for (const [index, event] of events.entries()) {
      if (event.type === 'Unreadable') continue;
      const written = encodeEvent(event, encodeValue(event.type, event, event.data));
      expect(new TextDecoder().decode(written.value)).toBe(new TextDecoder().decode(records[index]!.value));
      expect(written).toEqual(records[index]);
    }
  });
});

it('holds every event type in every version that was ever written', () => {
  const written = taskEventTypes.flatMap((type) => Array.from({ length: schemaVersions[type] }, (_, index) => `/schemas/${type}/${index + 1}`));
  const recorded = new Set(histories.flatMap(({ records }) => records.flatMap(({ headers }) => headers.filter(([name]) => name === 'ce_dataschema').map(([, value]) => value))));
  expect(written.filter((schema) => !recorded.has(schema))).toEqual([]);
  expect(written.length).toBeGreaterThanOrEqual(12);
});

function read(file: string): RecordedHistory {
  const { records, expected } = JSON.parse(readFileSync(new URL(`./v1/${file}`, import.meta.url), 'utf8')) as {
    records: Array<{ key: string; headers: Record<string, string>; value: string }>;
    expected: RecordedHistory['expected'];
  };
  return {
    name: file.replace('.json', ''),
    records: records.map(({ key, headers, value }) => ({ key, headers: Object.entries(headers), value: new TextEncoder().encode(value) })),
    expected,
  };
}

/** The parts of a state that a history promises. New members of the state need no change of recorded files. */
function summaryOf(state: TaskState): object {
  const { accepted, end } = state;
  return {
    phase: phaseOf(state),
    frozen: state.frozen,
    accepted: accepted && {
      queue: accepted.queue,
      priority: accepted.priority,
      notBeforeMs: accepted.notBeforeMs,
      expiresAtMs: accepted.expiresAtMs,
      timeoutMs: accepted.timeoutMs,
      batch: accepted.batch,
      parent: accepted.parent,
      tags: accepted.tags,
    },
    attempts: state.attempts.map(({ attempt, reason, dueAtMs, dispatches, executions, failure }) => ({
      attempt,
      reason,
      dueAtMs,
      dispatches: dispatches.map(({ timeMs, queue, issue }) => ({ timeMs, queue, issue })),
      executions: executions.map(({ executionId, workerId, progress, finish }) => ({
        executionId,
        workerId,
        progress: progress?.fraction ?? null,
        outcome: finish?.outcome ?? null,
      })),
      failure: failure?.cause ?? null,
    })),
    budgetFrom: state.budgetFrom,
    end: end && { kind: end.kind, attempt: end.attempt, reason: end.reason, executionId: end.executionId },
    inDoubt: executionsInDoubt(state).map(({ execution }) => execution.executionId),
    anomalies: state.anomalies.map(({ code }) => code),
  };
}

import { phaseOf, wasHandedOut, type Attempt } from '../../domain/task-state.ts';
import type { QuarantinedRecord, TaskRow } from '../../ports/projection-store.ts';
import { storableText } from './postgres-projection-schema.ts';

/** What is written to a table: its columns with their types, and those that tell a row. */
export interface TableShape {
  readonly columns: Readonly<Record<string, 'text' | 'integer' | 'bigint'>>;
  readonly key: readonly string[];
}

export const taskShape: TableShape = {
  columns: { task_id: 'text', accepted_ms: 'bigint', phase: 'text', type: 'text', batch: 'text', attempts: 'integer', row: 'text' },
  key: ['task_id'],
};
export const attemptShape: TableShape = {
  columns: {
    task_id: 'text', place: 'integer', attempt: 'integer', execution_id: 'text', worker_id: 'text', outcome: 'text',
    fingerprint: 'text', error_code: 'text', error_name: 'text',
  },
  key: ['task_id', 'place'],
};
export const tagShape: TableShape = { columns: { task_id: 'text', name: 'text', value: 'text' }, key: ['task_id', 'name'] };
export const quarantineShape: TableShape = {
  columns: { partition: 'integer', offset: 'bigint', detail: 'text' },
  key: ['partition', 'offset'],
};

/** Values in the order of the columns. */
export type Values = readonly (string | number | null)[];

export function taskValues(row: TaskRow): Values {
  const { taskId, accepted, rejected, attempts } = row.state;
  return [
    storableText(taskId),
    accepted?.timeMs ?? rejected?.timeMs ?? null,
    phaseOf(row.state),
    storable(accepted?.type ?? rejected?.type),
    storable(accepted?.batch),
    attempts.findLast(wasHandedOut)?.attempt ?? 0,
    JSON.stringify(row),
  ];
}

/** One row per execution, and one for a failure that no execution reported. */
export function attemptValues({ state }: TaskRow): Values[] {
  const taskId = storableText(state.taskId);
  return state.attempts.flatMap(valuesOfAttempt).map((values, place) => [taskId, place, ...values]);
}

export function tagValues({ state }: TaskRow): Values[] {
  const taskId = storableText(state.taskId);
  return Object.entries(state.accepted?.tags ?? {}).map(([name, value]) => [taskId, storableText(name), storableText(value)]);
}

export function quarantineValues({ partition, offset, detail }: QuarantinedRecord): Values {
  return [partition, offset, detail];
}

function valuesOfAttempt({ attempt, executions, failure }: Attempt): Values[] {
  const rows = executions.map(({ executionId, workerId, finish }): Values => {
    const outcome = finish?.outcome ?? null;
    return [attempt, storable(executionId), storable(workerId), outcome, ...errorValues(outcome === 'failed' ? failure : null)];
  });
  const isReported = executions.some(({ finish }) => finish?.outcome === 'failed');
  if (failure && !isReported) rows.push([attempt, null, null, 'failed', ...errorValues(failure)]);
  return rows;
}

function errorValues(failure: Attempt['failure']): Values {
  return [storable(failure?.error.fingerprint), storable(failure?.error.code), storable(failure?.error.name)];
}

function storable(text: string | null | undefined): string | null {
  return text == null ? null : storableText(text);
}

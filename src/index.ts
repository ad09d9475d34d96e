// What a user's program imports. Definitions load no server: `startDaybook` fetches it when it is called.
import type { Daybook, DaybookOptions } from './apps/start-daybook.ts';

export { defineTask, type TaskDefinition, type TaskOptions } from './task-definition/define-task.ts';
export {
  handle,
  type ChildOptions,
  type ChildTask,
  type Handler,
  type HandlerContext,
  type HandlerLog,
  type Receipt,
  type TaskHandler,
  type Transaction,
} from './task-definition/handle.ts';
export { PermanentFailure, RetryAfter, TransactionsUnavailable } from './task-definition/failures.ts';
export type { StandardSchema } from './task-definition/standard-schema.ts';
export { TaskRefused } from './task-definition/task-refused.ts';
export { DaybookError, type ErrorCode } from './domain/errors.ts';
export type { Daybook, DaybookOptions, Submission, SubmitOptions, SubmittedTask, TaskView } from './apps/start-daybook.ts';

/**
 * Starts a task system inside this process: api, dispatcher, worker and diary on the embedded adapters. Resolves once
 * tasks may be submitted; what is left from an earlier run goes on by itself.
 * @throws DaybookError `configuration-invalid`, `task-invalid`, `folder-in-use`
 */
export async function startDaybook(options: DaybookOptions): Promise<Daybook> {
  const { startDaybook: start } = await import('./apps/start-daybook.ts');
  return start(options);
}

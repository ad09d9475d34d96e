/** `daybook/client`: talks to a running Daybook over HTTP. No dependency; works wherever `fetch` does. */
export { createClient } from './client/create-client.ts';
export type { Client, ClientOptions, LogQuery, SubmitOptions, SubmittedTask, TaskListQuery, WaitOptions } from './client/create-client.ts';
export { DaybookProblem, WaitTimeout } from './client/daybook-problem.ts';
export type { ProblemViolation } from './client/daybook-problem.ts';
export type {
  AsOf,
  AttemptItem,
  EventItem,
  JsonValue,
  LogItem,
  Page,
  ProjectionItem,
  RebuildReport,
  Receipt,
  RequestRecorded,
  TaskError,
  TaskState,
  TaskView,
} from './client/answers.ts';

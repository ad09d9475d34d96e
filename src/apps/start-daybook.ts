import type { TaskView } from '../diary/queries/task-view.ts';
import { DaybookError } from '../domain/errors.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { TaskDefinition } from '../task-definition/define-task.ts';
import type { Receipt } from '../task-definition/handle.ts';
import type { CatalogEntry } from '../task-definition/task-catalog.ts';
import { TaskRefused } from '../task-definition/task-refused.ts';
import { startAllInOne } from './all-in-one.ts';
import { loadConfig, type ConfigOverrides, type Role } from './config.ts';
import { createLogger } from './logging.ts';

export type { TaskView };

/** The settings of `daybook config` in camelCase without prefix, and: */
export interface DaybookOptions extends Omit<ConfigOverrides, 'tasks'> {
  /** Definitions and handlers. */
  readonly tasks: readonly CatalogEntry[];
  /** Which roles run here. Default: all four. */
  readonly roles?: readonly Role[];
  /** Whether to listen for HTTP, on `host` and `port`. Default: when `port` is given. */
  readonly http?: boolean;
}

export interface SubmitOptions {
  /** 1 to 255 printable characters. The same key and content is the same task, also after a restart. */
  readonly idempotencyKey?: string;
  /** 0 to 9, 9 goes first. Default: the definition's. */
  readonly priority?: number;
  /** Default: the definition's. */
  readonly queue?: string;
  /** An RFC 3339 instant, or a delay such as `'10s'` or milliseconds. */
  readonly notBefore?: string | number;
  /** A task that has not started by then fails as expired. */
  readonly expiresAt?: string | number;
  readonly retry?: { readonly maxAttempts?: number; readonly backoff?: 'exponential' | 'fixed'; readonly base?: string | number; readonly max?: string | number };
  readonly batch?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface SubmittedTask {
  readonly id: string;
  /** Where the `TaskAccepted` stands in the log. */
  readonly receipt: Receipt;
}

export interface Submission<PayloadIn = unknown> {
  readonly definition: TaskDefinition<PayloadIn>;
  readonly payload: PayloadIn;
  readonly options?: SubmitOptions;
}

/** A task system in this process. */
export interface Daybook {
  /**
   * Resolves once the log has the task.
   * @throws TaskRefused: it broke a rule, and never will be taken as it is
   * @throws DaybookError `log-unavailable`: not known to be recorded; safe to repeat with the same idempotency key
   */
  submit<PayloadIn>(definition: TaskDefinition<PayloadIn>, payload: PayloadIn, options?: SubmitOptions): Promise<SubmittedTask>;
  /** Submits all at once; answers in order, each on its own: one that is refused stops no other. */
  submitMany<const Payloads extends readonly unknown[]>(
    submissions: { readonly [Index in keyof Payloads]: Submission<Payloads[Index]> },
  ): Promise<ReadonlyArray<PromiseSettledResult<SubmittedTask>>>;
  /** What is known of a task now. @throws a problem with code `task-not-found` */
  get(id: string): Promise<TaskView>;
  /**
   * Waits for the task to end, however it ends.
   * @throws DaybookError `timed-out` after `timeoutMs`, default 60,000; the task goes on
   */
  wait(id: string, options?: { readonly timeoutMs?: number }): Promise<TaskView>;
  /** Where HTTP is answered; null when it is off. */
  readonly url: string | null;
  /** Takes nothing new, lets running handlers finish within `drainSeconds`, and closes the files. Idempotent. */
  stop(): Promise<void>;
}

const longestAskMs = 30_000;

/** See `startDaybook` in the package's entry. */
export async function startDaybook({ tasks, roles, http, ...settings }: DaybookOptions): Promise<Daybook> {
  const config = loadConfig({}, { overrides: { logLevel: 'warn', ...settings } });
  const logger = createLogger({ level: config.logLevel });
  const system = await startAllInOne({
    config,
    entries: tasks,
    logger,
    http: http ?? settings.port !== undefined,
    ...(roles === undefined ? {} : { roles }),
  });

  const submit: Daybook['submit'] = async ({ type, version }, payload, options = {}) => {
    const { acceptTask } = system;
    if (!acceptTask) throw missing('api');
    const { idempotencyKey, ...rest } = options;
    const request = { type, version, payload: asJson(payload), options: asJson(rest) as JsonObject };
    const key = idempotencyKey === undefined ? {} : { idempotencyKey };
    const result = await acceptTask.accept({ request, submitter: 'anonymous', client: 'in-process', ...key });
    switch (result.type) {
      case 'accepted':
        return { id: result.id, receipt: result.receipt };
      case 'refused':
        throw new TaskRefused(result);
      case 'unavailable':
        throw new DaybookError('log-unavailable', result.detail);
      default:
        return result satisfies never;
    }
  };

  const queries = () => {
    if (!system.taskQueries) throw missing('diary');
    return system.taskQueries;
  };

  const wait: Daybook['wait'] = async (id, { timeoutMs = 60_000 } = {}) => {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const waitMs = Math.max(0, Math.min(longestAskMs, Math.ceil(deadlineMs - performance.now())));
      const task = await queries().get(id, { waitMs });
      if (task.finishedAt !== undefined) return task;
      if (performance.now() >= deadlineMs) throw new DaybookError('timed-out', `task ${id} has not ended within ${timeoutMs} ms: it is ${task.state}`);
    }
  };

  return {
    submit,
    submitMany: (submissions) => Promise.allSettled(submissions.map(({ definition, payload, options }) => submit(definition, payload, options))),
    get: async (id) => queries().get(id),
    wait,
    url: system.listening?.url ?? null,
    stop: () => system.stop(),
  };
}

function missing(role: Role): DaybookError {
  return new DaybookError('configuration-invalid', `the ${role} role does not run in this process: add it to the roles of startDaybook`);
}

/** As it would arrive over HTTP, so that what is recorded does not depend on the way it came. */
function asJson(value: unknown): JsonValue {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? null : (JSON.parse(text) as JsonValue);
}

import type { Duration } from '../domain/duration.ts';
import { DaybookError } from '../domain/errors.ts';
import { isTaskDefinition, type TaskDefinition } from './define-task.ts';

/** Does the work of one task. Returning completes it; throwing fails the attempt, and the retry policy decides. */
export type Handler<Payload, Result> = (payload: Payload, ctx: HandlerContext) => Result | Promise<Result>;

/** What a handler is told and may do. */
export interface HandlerContext {
  readonly taskId: string;
  readonly type: string;
  /** From 1; grows by policy only. The same attempt may run twice after a crash. */
  readonly attempt: number;
  /** The same for every attempt and execution of the task: give it to whatever the handler changes. */
  readonly idempotencyKey: string;
  /** Aborts on timeout, on shutdown, and when another worker has taken the attempt over. */
  readonly signal: AbortSignal;
  /** When the attempt times out. */
  readonly deadline: Date;
  readonly log: HandlerLog;
  /** Records how far the work is, 0 to 1. At most one record a second is kept, the newest, and the last before the outcome. Never fails. */
  progress(fraction: number, note?: string): void;
  /**
   * Submits a child task. Its id follows from this task and `key`, so that a second execution submits nothing new.
   * @throws when the payload does not fit, or when the log cannot record it
   */
  submit<PayloadIn>(definition: TaskDefinition<PayloadIn>, payload: NoInfer<PayloadIn>, options: ChildOptions): Promise<ChildTask>;
  /**
   * Will run the handler's own writes and the outcome in one database transaction. Not built yet.
   * @throws TransactionsUnavailable always
   */
  transaction<Value>(work: (tx: Transaction) => Promise<Value>): Promise<Value>;
}

export interface HandlerLog {
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

export interface Transaction {
  query(sql: string, params?: readonly unknown[]): Promise<{ readonly rows: readonly object[]; readonly rowCount: number }>;
}

export interface ChildOptions {
  /** Unique among the children of this task. */
  readonly key: string;
  readonly notBefore?: string | Duration;
  readonly expiresAt?: string | Duration;
  readonly priority?: number;
  readonly queue?: string;
}

export interface ChildTask {
  readonly id: string;
  readonly receipt: Receipt;
}

/** Proof of acceptance: where the `TaskAccepted` stands in the log, and the SHA-256 of its value. */
export interface Receipt {
  readonly eventId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly sha256: string;
  /** RFC 3339. */
  readonly acceptedAt: string;
}

/** A definition and the function that does its work. */
export interface TaskHandler {
  readonly [handlerBrand]: true;
  readonly definition: TaskDefinition;
  readonly run: Handler<unknown, unknown>;
}

export const handlerBrand = '~daybook.handler';

/** Binds the work to a definition. */
export function handle<PayloadIn, Payload, Returned>(
  definition: TaskDefinition<PayloadIn, Payload, Returned>,
  run: Handler<Payload, NoInfer<Returned>>,
): TaskHandler {
  if (!isTaskDefinition(definition)) throw new DaybookError('task-invalid', 'handle: the first argument must come from defineTask');
  if (typeof run !== 'function') throw new DaybookError('task-invalid', `task ${definition.type}: the handler must be a function`);
  return Object.freeze({ [handlerBrand]: true as const, definition, run: run as Handler<unknown, unknown> });
}

export function isTaskHandler(value: unknown): value is TaskHandler {
  return typeof value === 'object' && value !== null && handlerBrand in value;
}

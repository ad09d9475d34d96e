import type { JsonValue } from '../domain/json.ts';
import type { TaskDefinition } from '../task-definition/define-task.ts';
import {
  finalStates,
  type AttemptItem,
  type EventItem,
  type LogItem,
  type Page,
  type ProjectionItem,
  type Receipt,
  type RequestRecorded,
  type TaskView,
} from './answers.ts';
import { DaybookProblem, WaitTimeout } from './daybook-problem.ts';
import { HttpCalls, pause, type HttpCallsOptions } from './http-calls.ts';

export interface ClientOptions {
  /** Of the api or the all-in-one process. Default `http://127.0.0.1:3000`. */
  readonly url?: string;
  /** Of the diary. Default: `url`; a role that cannot answer is followed to port 3001 of its host, once. */
  readonly diaryUrl?: string;
  readonly apiKey?: string;
  /** How often a call is made again that got 429, 503 or no answer, if repeating it is safe. Default 3; 0 never. */
  readonly retries?: number;
  /** For one try of a call, beside the time that the server was asked to hold it. Default 10,000. */
  readonly timeoutMs?: number;
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface SubmitOptions {
  /** 1 to 255 printable characters. The same key and content give the same task. Default: one is made. */
  readonly idempotencyKey?: string;
  /** Only beside a type's name. Default: the highest that the server knows. */
  readonly version?: number;
  readonly queue?: string;
  /** 0 to 9, 9 goes first. */
  readonly priority?: number;
  /** RFC 3339 instant, or a delay such as `'10s'`. */
  readonly notBefore?: string | number;
  /** RFC 3339 instant, or a delay such as `'10m'`: a task that has not started by then fails. */
  readonly expiresAt?: string | number;
  readonly retry?: {
    readonly maxAttempts?: number;
    readonly backoff?: 'exponential' | 'fixed';
    readonly base?: string | number;
    readonly max?: string | number;
  };
  readonly batch?: string;
  readonly parent?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

declare const resultOf: unique symbol;

/** The answer to a submission: the task is in the log. */
export interface SubmittedTask<Result = JsonValue> {
  readonly id: string;
  readonly type: string;
  readonly receipt: Receipt;
  readonly idempotencyKey: string;
  /** The server had accepted this key and content before. */
  readonly replayed: boolean;
  /** Only for the compiler: carries the result's type to `wait`. */
  readonly [resultOf]?: Result;
}

export interface WaitOptions {
  /** How long to wait for a final state. Default 60,000. */
  readonly timeoutMs?: number;
}

export interface TaskListQuery {
  /** Such as `state:failed type:webhook.* since:1h`. */
  readonly q?: string;
  /** Per page. Default: the server's. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface LogQuery {
  /** Default 0. */
  readonly partition?: number;
  /** The first to read. Default 0. */
  readonly offset?: number;
  readonly limit?: number;
}

/** Every call may throw DaybookProblem. */
export interface Client {
  /**
   * Resolves once the acceptance stands in the log. A 429, a 503 or a lost connection is retried with the same
   * Idempotency-Key, so that no try makes a second task.
   * @throws DaybookProblem with the `idempotencyKey` that is safe to send again
   */
  submit<PayloadIn, Payload, Result>(
    definition: TaskDefinition<PayloadIn, Payload, Result>,
    payload: PayloadIn,
    options?: SubmitOptions,
  ): Promise<SubmittedTask<Result>>;
  submit(type: string, payload: JsonValue, options?: SubmitOptions): Promise<SubmittedTask>;
  get<Result = JsonValue>(task: TaskReference<Result>): Promise<TaskView<Result>>;
  /** @throws WaitTimeout when the task has not ended by then; it goes on */
  wait<Result = JsonValue>(task: TaskReference<Result>, options?: WaitOptions): Promise<TaskView<Result>>;
  events(task: TaskReference): Promise<Page<EventItem>>;
  attempts(task: TaskReference): Promise<Page<AttemptItem>>;
  /** Every task that matches, newest first, page by page. */
  list(query?: TaskListQuery): AsyncIterable<TaskView>;
  listPage(query?: TaskListQuery): Promise<Page<TaskView>>;
  cancel(task: TaskReference, reason: string): Promise<RequestRecorded>;
  retry(task: TaskReference, reason: string): Promise<RequestRecorded>;
  projections(): Promise<Page<ProjectionItem>>;
  /** Starts a rebuild beside the live projection; `projections` shows the same operation as its `lastRebuild` in the end. */
  rebuild(projection: string): Promise<{ readonly operation: string }>;
  log(query?: LogQuery): Promise<Page<LogItem>>;
}

export type TaskReference<Result = unknown> = string | SubmittedTask<Result>;

const longestHeldMs = 60_000;
const shortestRoundMs = 200;

/** A client of a running Daybook. Makes no call by itself. */
export function createClient(options: ClientOptions = {}): Client {
  const url = options.url ?? 'http://127.0.0.1:3000';
  const callsOptions: HttpCallsOptions = {
    fetch: options.fetch ?? globalThis.fetch,
    apiKey: options.apiKey,
    retries: options.retries ?? 3,
    timeoutMs: options.timeoutMs ?? 10_000,
  };
  return new HttpClient(new HttpCalls(url, callsOptions), new HttpCalls(options.diaryUrl ?? url, callsOptions));
}

class HttpClient implements Client {
  readonly #api: HttpCalls;
  readonly #diary: HttpCalls;

  constructor(api: HttpCalls, diary: HttpCalls) {
    this.#api = api;
    this.#diary = diary;
  }

  submit<PayloadIn, Payload, Result>(
    definition: TaskDefinition<PayloadIn, Payload, Result>,
    payload: PayloadIn,
    options?: SubmitOptions,
  ): Promise<SubmittedTask<Result>>;
  submit(type: string, payload: JsonValue, options?: SubmitOptions): Promise<SubmittedTask>;
  async submit(kind: string | { readonly type: string; readonly version: number }, payload: unknown, options: SubmitOptions = {}): Promise<SubmittedTask<never>> {
    const { idempotencyKey = crypto.randomUUID(), version, ...taskOptions } = options;
    const type = typeof kind === 'string' ? kind : kind.type;
    const body = { type, version: typeof kind === 'string' ? version : kind.version, payload, ...withOptions(taskOptions) };
    try {
      const answer = await this.#api.call({
        method: 'POST',
        path: '/v1/tasks',
        headers: { 'idempotency-key': idempotencyKey },
        body,
        repeatable: true,
      });
      const { id, receipt } = answer.body as { id: string; receipt: Receipt };
      return { id, type, receipt, idempotencyKey, replayed: answer.headers.get('idempotency-replayed') === 'true' };
    } catch (error) {
      throw error instanceof DaybookProblem ? withKey(error, idempotencyKey) : error;
    }
  }

  get<Result>(task: TaskReference<Result>): Promise<TaskView<Result>> {
    return this.#read(taskPath(task));
  }

  async wait<Result>(task: TaskReference<Result>, { timeoutMs = 60_000 }: WaitOptions = {}): Promise<TaskView<Result>> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const askedMs = performance.now();
      const leftMs = Math.max(0, Math.round(deadlineMs - askedMs));
      const heldMs = Math.min(leftMs, longestHeldMs);
      const view = await this.#read<TaskView<Result>>(taskPath(task), { wait: heldMs }, heldMs);
      if (finalStates.has(view.state)) return view;
      if (leftMs === 0) throw new WaitTimeout(idOf(task), view.state, timeoutMs);
      // A server that answers before its time would otherwise be asked in a tight loop.
      await pause(Math.max(0, Math.min(heldMs, shortestRoundMs) - (performance.now() - askedMs)));
    }
  }

  events(task: TaskReference): Promise<Page<EventItem>> {
    return this.#allItems(`${taskPath(task)}/events`);
  }

  attempts(task: TaskReference): Promise<Page<AttemptItem>> {
    return this.#allItems(`${taskPath(task)}/attempts`);
  }

  async *list(query: TaskListQuery = {}): AsyncGenerator<TaskView> {
    let cursor = query.cursor;
    do {
      const page = await this.listPage({ ...query, ...(cursor === undefined ? {} : { cursor }) });
      yield* page.items;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  listPage({ q, cursor, limit }: TaskListQuery = {}): Promise<Page<TaskView>> {
    return this.#read('/v1/tasks', { q, cursor, limit });
  }

  cancel(task: TaskReference, reason: string): Promise<RequestRecorded> {
    return this.#request(`${taskPath(task)}/cancel`, { reason });
  }

  retry(task: TaskReference, reason: string): Promise<RequestRecorded> {
    return this.#request(`${taskPath(task)}/retry`, { reason });
  }

  projections(): Promise<Page<ProjectionItem>> {
    return this.#read('/v1/projections');
  }

  async rebuild(projection: string): Promise<{ readonly operation: string }> {
    const path = `/v1/projections/${encodeURIComponent(projection)}/rebuild`;
    const answer = await this.#diary.call({ method: 'POST', path, repeatable: false });
    return answer.body as { operation: string };
  }

  log({ partition, offset, limit }: LogQuery = {}): Promise<Page<LogItem>> {
    return this.#read('/v1/log', { partition, offset, limit });
  }

  async #read<Answer>(path: string, query: Readonly<Record<string, string | number | undefined>> = {}, heldMs = 0): Promise<Answer> {
    const answer = await this.#diary.call({ path, query, repeatable: true, heldMs });
    return answer.body as Answer;
  }

  /** A task's history is short; where it is paged all the same, its pages become one. */
  async #allItems<Item>(path: string): Promise<Page<Item>> {
    const items: Item[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = await this.#read<Page<Item>>(path, { cursor });
      items.push(...page.items);
      if (page.next == null) return { items, next: null, asOf: page.asOf };
      cursor = page.next;
    }
  }

  /** Not repeated by itself: each call is a request of its own in the log. */
  async #request(path: string, body: object): Promise<RequestRecorded> {
    const answer = await this.#api.call({ method: 'POST', path, body, repeatable: false });
    return answer.body as RequestRecorded;
  }
}

function idOf(task: TaskReference): string {
  return typeof task === 'string' ? task : task.id;
}

function taskPath(task: TaskReference): string {
  return `/v1/tasks/${encodeURIComponent(idOf(task))}`;
}

function withOptions(options: object): { options?: object } {
  return Object.keys(options).length === 0 ? {} : { options };
}

function withKey(problem: DaybookProblem, idempotencyKey: string): DaybookProblem {
  return new DaybookProblem({
    status: problem.status,
    code: problem.code,
    detail: problem.detail,
    errors: problem.errors,
    idempotencyKey,
    requestId: problem.requestId ?? undefined,
    taskId: problem.taskId ?? undefined,
    retryAfterMs: problem.retryAfterMs ?? undefined,
    cause: problem.cause,
  });
}


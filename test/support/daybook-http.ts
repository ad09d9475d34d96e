import type { HeldReceipt } from '../guarantees/evidence.ts';
import type { View } from '../guarantees/rebuilt-view-equals-live.ts';
import { eventually } from './eventually.ts';

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface ProblemBody {
  readonly status: number;
  readonly code: string;
  readonly id?: string;
  readonly errors?: ReadonlyArray<{ readonly pointer: string; readonly detail: string }>;
}

export interface TaskBody {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  readonly reason?: string;
  readonly acceptedAt: string;
  readonly startedAt?: string;
  readonly dueAt?: string;
  readonly result?: unknown;
}

export interface EventBody {
  readonly type: string;
  readonly eventId: string;
  readonly time: string;
  readonly attempt?: number;
  readonly offset: number;
  readonly duplicateOf?: number;
  readonly void?: { readonly code: string };
  readonly headers: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, unknown>>;
}

interface ProjectionBody {
  readonly state: string;
  readonly positions: Readonly<Record<string, number>>;
  readonly lag: number;
  readonly digest: string | null;
  readonly lastRebuild: { readonly operation: string; readonly equal: boolean | null; readonly error: string | null } | null;
}

export interface Submission {
  readonly type: string;
  readonly payload?: unknown;
  readonly options?: Readonly<Record<string, unknown>>;
}

const answerTimeoutMs = 90_000;

/** Calls as any HTTP client would; whoever asks says what the answer's body is. */
export async function get<Body>(url: string): Promise<Answer<Body>> {
  return answerOf(await fetch(url, { signal: AbortSignal.timeout(answerTimeoutMs) }));
}

export async function post<Body>(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer<Body>> {
  const request = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } };
  return answerOf(await fetch(url, { ...request, signal: AbortSignal.timeout(answerTimeoutMs) }));
}

/** Waits until a process is ready; fails with what it said last. */
export async function untilReady(url: string, timeoutMs: number): Promise<void> {
  const askOnce = async () => {
    const { status, body } = await get(`${url}/readyz`);
    if (status !== 200) throw new Error(JSON.stringify(body));
    return true;
  };
  await eventually(askOnce, { timeoutMs });
}

/** Submits, expects 202, and gives the id and the receipt. */
export async function submit(url: string, submission: Submission, key?: string): Promise<HeldReceipt> {
  const { status, body } = await post<HeldReceipt>(`${url}/v1/tasks`, submission, key === undefined ? {} : { 'idempotency-key': key });
  if (status !== 202) throw new Error(`the submission was answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Waits for the task's end as the diary tells it; fails after a minute. */
export async function finished(url: string, id: string): Promise<TaskBody> {
  const { status, body } = await get<TaskBody>(`${url}/v1/tasks/${id}?wait=60000`);
  if (status !== 200 || !['completed', 'failed', 'cancelled', 'rejected'].includes(body.state)) {
    throw new Error(`task ${id} has not ended within a minute: ${status} ${JSON.stringify(body)}`);
  }
  return body;
}

export async function eventsOf(url: string, id: string): Promise<readonly EventBody[]> {
  const { body } = await get<{ readonly items: readonly EventBody[] }>(`${url}/v1/tasks/${id}/events`);
  return body.items;
}

export async function projection(url: string): Promise<ProjectionBody> {
  const { status, body } = await get<{ readonly items: readonly ProjectionBody[] }>(`${url}/v1/projections`);
  const tasks = body.items?.[0];
  if (status !== 200 || !tasks) throw new Error(`the projections were answered ${status}: ${JSON.stringify(body)}`);
  return tasks;
}

/** Everything that the diary says, at the end of the log. */
export async function viewOf(url: string): Promise<View> {
  const tasks = new Map<string, unknown>();
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body }: Answer<{ items: TaskBody[]; next: string | null }> = await get(`${url}/v1/tasks?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (status !== 200) throw new Error(`the list was answered ${status}: ${JSON.stringify(body)}`);
    for (const task of body.items) tasks.set(task.id, task);
    cursor = body.next;
  }
  const { positions, digest } = await projection(url);
  return { positions, digest, tasks };
}

async function answerOf<Body>(response: Response): Promise<Answer<Body>> {
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
}

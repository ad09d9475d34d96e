import { DaybookProblem, problemOf } from './daybook-problem.ts';

export interface HttpCallsOptions {
  readonly fetch: typeof globalThis.fetch;
  readonly apiKey: string | undefined;
  readonly retries: number;
  readonly timeoutMs: number;
}

export interface HttpCall {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Whether making the call twice changes nothing more than making it once. Only then it is retried. */
  readonly repeatable: boolean;
  /** How long the server was asked to hold the answer back. */
  readonly heldMs?: number;
}

export interface HttpAnswer {
  readonly body: unknown;
  readonly headers: Headers;
}

/** The port of a lone diary: where a role that cannot answer is followed to. */
const diaryPort = '3001';
const longestPauseMs = 10_000;
const firstPauseMs = 250;

/** Makes calls to one server: retries what may be retried, a bounded number of times, and turns refusals into problems. */
export class HttpCalls {
  #base: URL;
  readonly #options: HttpCallsOptions;

  constructor(base: string, options: HttpCallsOptions) {
    this.#base = parseBase(base);
    this.#options = options;
  }

  /** @throws DaybookProblem */
  async call(call: HttpCall): Promise<HttpAnswer> {
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.#callRightRole(call);
      } catch (error) {
        if (!(error instanceof DaybookProblem) || !call.repeatable || retry >= this.#options.retries || !mayPass(error)) throw error;
        await pause(pauseMs(error, retry));
      }
    }
  }

  /** A process that runs another role says so; then the diary of the same host is asked once. */
  async #callRightRole(call: HttpCall): Promise<HttpAnswer> {
    try {
      return await this.#once(this.#base, call);
    } catch (error) {
      if (!(error instanceof DaybookProblem) || error.code !== 'not-this-role' || this.#base.port === diaryPort) throw error;
      const diary = new URL(this.#base);
      diary.port = diaryPort;
      const answer = await this.#once(diary, call);
      this.#base = diary;
      return answer;
    }
  }

  async #once(base: URL, call: HttpCall): Promise<HttpAnswer> {
    const url = addressOf(base, call);
    const { fetch, apiKey, timeoutMs } = this.#options;
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method: call.method ?? 'GET',
        headers: {
          accept: 'application/json',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
          ...call.headers,
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: AbortSignal.timeout(timeoutMs + (call.heldMs ?? 0)),
      });
      if (!response.ok) throw await problemOf(response, url.href);
      text = await response.text();
    } catch (error) {
      throw error instanceof DaybookProblem ? error : noAnswer(base, error);
    }
    return { body: parseAnswer(text, url, response), headers: response.headers };
  }
}

function parseBase(base: string): URL {
  const url = URL.canParse(base) ? new URL(base) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`${JSON.stringify(base)} is no address of a Daybook server: use a URL such as http://127.0.0.1:3000`);
  }
  return url;
}

function addressOf(base: URL, call: HttpCall): URL {
  const url = new URL(base.pathname.replace(/\/$/, '') + call.path, base);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

function noAnswer(base: URL, error: unknown): DaybookProblem {
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  return new DaybookProblem({
    status: 0,
    code: timedOut ? 'no-answer' : 'unreachable',
    detail: timedOut ? `${base.origin} did not answer in time` : `no server answers at ${base.origin} (${reasonOf(error)})`,
    cause: error,
  });
}

/** `fetch` hides the reason, such as ECONNREFUSED, in the cause, and that in a list where a name has two addresses. */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  return cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error));
}

function parseAnswer(text: string, url: URL, response: Response): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DaybookProblem({
      status: response.status,
      code: 'not-json',
      detail: `${url.href} answered ${response.status} with something that is not JSON: is it a Daybook server?`,
      cause: error,
    });
  }
}

function mayPass(problem: DaybookProblem): boolean {
  return problem.status === 503 || problem.status === 429 || problem.status === 0;
}

/** What the server asked for, else doubling from 250 ms; half of it by chance, so that many clients spread out. */
function pauseMs(problem: DaybookProblem, retry: number): number {
  const wanted = problem.retryAfterMs ?? firstPauseMs * 2 ** retry * (0.5 + Math.random() / 2);
  return Math.min(longestPauseMs, wanted);
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

export interface ProblemError {
  /** Where in the request: a parameter's name, or a JSON pointer. */
  readonly pointer: string;
  /** The rule that is broken, and what to send instead. */
  readonly detail: string;
}

interface ProblemMembers {
  /** The HTTP status code. */
  readonly status: number;
  /** Stable; programs may test it. */
  readonly code: string;
  /** One sentence that is the same for every problem of this code. */
  readonly title: string;
  /** What is particular to this one, and what helps. */
  readonly detail: string;
  readonly errors?: readonly ProblemError[];
  /** When asking again makes sense. */
  readonly retryAfterSeconds?: number;
}

/** Why a question has no answer. The HTTP edge turns it into `application/problem+json`. */
export class QueryProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly ProblemError[];
  readonly retryAfterSeconds?: number;

  constructor({ status, code, title, detail, errors, retryAfterSeconds }: ProblemMembers) {
    super(detail);
    this.name = 'QueryProblem';
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail;
    if (errors !== undefined) this.errors = errors;
    if (retryAfterSeconds !== undefined) this.retryAfterSeconds = retryAfterSeconds;
  }
}

export function invalidParameter(name: string, rule: string): QueryProblem {
  const errors = [{ pointer: name, detail: rule }];
  return new QueryProblem({ status: 400, code: 'invalid-parameter', title: 'A query parameter breaks a rule', detail: `${name} ${rule}`, errors });
}

export function taskNotFound(detail: string): QueryProblem {
  return new QueryProblem({ status: 404, code: 'task-not-found', title: 'There is no such task', detail });
}

export function rebuilding(detail: string): QueryProblem {
  return new QueryProblem({ status: 503, code: 'rebuilding', title: 'The read model is being derived from the log again', detail, retryAfterSeconds: 1 });
}

export function readModelBehind(detail: string): QueryProblem {
  return new QueryProblem({ status: 503, code: 'read-model-behind', title: 'The read model is behind the log', detail, retryAfterSeconds: 1 });
}

export function diaryUnavailable(detail: string): QueryProblem {
  return new QueryProblem({ status: 503, code: 'diary-unavailable', title: 'The diary cannot be read now', detail, retryAfterSeconds: 1 });
}

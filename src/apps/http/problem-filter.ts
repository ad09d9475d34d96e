import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../ports/logger.ts';
import type { Role } from '../config.ts';
import { hasUnreadBody, lingeringAnswer } from './lingering-answer.ts';
import { isProblemShape, notFound, problemContentType, problemDocument, type ProblemShape } from './problem-document.ts';
import { otherRole } from './role-routes.ts';

/**
 * Turns everything that is thrown on the way of a request into `application/problem+json`. What is no problem of the
 * client's is logged whole and answered as `internal`, without a word of its content.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  /** Problems answered, by code, for metrics. */
  readonly counts = new Map<string, number>();
  readonly #roles: ReadonlySet<Role>;
  readonly #logger: Logger;

  constructor(roles: ReadonlySet<Role>, logger: Logger) {
    this.#roles = roles;
    this.#logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = this.#problemOf(thrown, request);
    const { status, code } = problem;
    const about = { requestId: request.id, status, code, method: request.method, route: request.routeOptions?.url ?? null };
    if (code === 'internal') this.#logger.error({ ...about, error: thrown }, 'a request failed unexpectedly');
    else this.#logger.info(about, 'a request was refused');
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
    if (reply.sent) return;
    if (problem.retryAfterSeconds !== undefined) reply.header('Retry-After', String(problem.retryAfterSeconds));
    if (status === 401) reply.header('WWW-Authenticate', 'Bearer');
    const document = JSON.stringify(problemDocument(problem, request.id));
    reply.status(status).type(problemContentType);
    if (hasUnreadBody(request.raw)) reply.header('Content-Length', Buffer.byteLength(document)).send(lingeringAnswer(document, request.raw));
    else reply.send(document);
  }

  #problemOf(thrown: unknown, request: FastifyRequest): ProblemShape {
    if (isProblemShape(thrown)) return thrown;
    if (thrown instanceof HttpException && thrown.getStatus() === 404) {
      return notFound(otherRole(request.method, request.url, this.#roles));
    }
    return frameworkProblem(thrown) ?? internal;
  }
}

const internal: ProblemShape = {
  status: 500,
  code: 'internal',
  title: 'Internal error',
  detail: 'Something failed unexpectedly. The request id stands in the log of the server.',
};

/** What Fastify and Nest refuse by themselves. Their messages speak of the request's form only. */
function frameworkProblem(thrown: unknown): ProblemShape | null {
  if (!(thrown instanceof Error)) return null;
  const status = thrown instanceof HttpException ? thrown.getStatus() : (thrown as { readonly statusCode?: unknown }).statusCode;
  switch (status) {
    case 413:
      return { status, code: 'payload-too-large', title: 'The body is too large', detail: 'The body is larger than this server takes.' };
    case 415:
      return { status, code: 'unsupported-media-type', title: 'Unsupported media type', detail: 'The body must be JSON: send Content-Type: application/json.' };
    default:
      if (typeof status !== 'number' || status < 400 || status > 499) return null;
      return { status, code: 'invalid-request', title: 'The request is not understood', detail: 'The form of the request is wrong.' };
  }
}

import 'reflect-metadata';
import type { Socket } from 'node:net';
import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../ports/logger.ts';
import type { Role } from '../config.ts';
import { nestLogger } from '../logging.ts';
import type { ApiKey } from './api-keys.ts';
import { authenticate } from './authentication.ts';
import { answerHealth, healthPaths, type HealthSource } from './health-routes.ts';
import { parseJsonBody } from './json-body.ts';
import { cannotListen, listeningAt, type Listening } from './listening.ts';
import { describeApi } from './openapi.ts';
import { problemContentType, problemDocument } from './problem-document.ts';
import { ProblemFilter } from './problem-filter.ts';
import { registerProblemMetrics } from './problem-metrics.ts';
import { requestIds } from './request-ids.ts';

export interface HttpAppOptions {
  /** What brings the routes and the services: the composition of the roles. */
  readonly module: DynamicModule;
  /** The roles that run in this process; a call that another role answers is told so. */
  readonly roles: ReadonlySet<Role>;
  /** What the health routes tell about, once the module stands. Asked once, before any service starts. */
  readonly source: (context: INestApplicationContext) => HealthSource;
  readonly logger: Logger;
  /** Null: callers are anonymous. */
  readonly apiKeys: readonly ApiKey[] | null;
  /** Bytes; a longer body is 413. */
  readonly bodyLimitBytes: number;
  /** The program's version, for the description of the API. */
  readonly version: string;
}

/** A request must have arrived whole within this time: a slow sender cannot hold a connection for ever. */
const requestTimeoutMs = 30_000;

/** The HTTP edge of the api and the diary: NestJS on Fastify. */
export class HttpApp {
  readonly #app: NestFastifyApplication;

  private constructor(app: NestFastifyApplication) {
    this.#app = app;
  }

  /** The services of the module run and `inject` answers; nothing listens yet. */
  static async create(options: HttpAppOptions): Promise<HttpApp> {
    const { module, roles, logger, apiKeys, bodyLimitBytes, source, version } = options;
    const filter = new ProblemFilter(roles, logger);
    const adapter = new FastifyAdapter({
      bodyLimit: bodyLimitBytes,
      genReqId: requestIds(),
      requestTimeout: requestTimeoutMs,
      return503OnClosing: false,
      clientErrorHandler: answerUnreadableRequest,
      frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => filter.answer(error, request, reply),
    });
    const fastify = adapter.getInstance() as unknown as FastifyInstance;
    protectAnswers(fastify);
    authenticate(fastify, apiKeys);
    takeOnlyJson(fastify);
    const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
      bodyParser: false,
      abortOnError: false,
      logger: nestLogger(logger),
    });
    app.useGlobalFilters(filter);
    const health = source(app);
    registerProblemMetrics(health.registry, filter.counts);
    serveHealth(fastify, health);
    describeApi(app, version, apiKeys !== null);
    await app.init();
    await fastify.ready();
    return new HttpApp(app);
  }

  /** Finds what the module provides. */
  get context(): INestApplicationContext {
    return this.#app;
  }

  /** For tests: answers a request without a socket. */
  get inject(): FastifyInstance['inject'] {
    const fastify = this.#app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
    return fastify.inject.bind(fastify) as FastifyInstance['inject'];
  }

  /**
   * @param port 0: any free one
   * @throws CannotListen naming the port
   */
  async listen(host: string, port: number): Promise<Listening> {
    try {
      await this.#app.listen(port, host);
    } catch (error) {
      throw cannotListen(error, host, port);
    }
    const address = (this.#app.getHttpServer() as { address(): { port: number } | string | null }).address();
    return listeningAt(host, typeof address === 'object' && address ? address.port : port);
  }

  /** Stops listening and settles once the requests in flight are answered. Idempotent. */
  async close(): Promise<void> {
    await this.#app.close();
  }
}

/** Browsers must not guess content types, show answers inside foreign pages, or keep them. */
function protectAnswers(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (_request, reply, done) => {
    reply.header('X-Content-Type-Options', 'nosniff').header('X-Frame-Options', 'DENY');
    reply.header('Referrer-Policy', 'no-referrer').header('Cache-Control', 'no-store');
    done();
  });
}

/** JSON and nothing else: a form or plain text, which a foreign page could send without asking, is 415. */
function takeOnlyJson(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parseJsonBody(body as Buffer, request.headers['content-type'], request.headers['content-encoding']));
    } catch (error) {
      done(error as Error);
    }
  });
}

function serveHealth(fastify: FastifyInstance, source: HealthSource): void {
  for (const path of healthPaths) {
    fastify.get(path, async (_request, reply) => {
      const { status, contentType, body } = await answerHealth(path, source);
      return reply.status(status).type(contentType).send(body);
    });
  }
}

/** For what is no HTTP at all: there is no request to answer, only a socket. */
function answerUnreadableRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, reason] = unreadable[error.code ?? ''] ?? [400, 'Bad Request'];
  const problem = { status, code: 'invalid-request', title: reason, detail: 'The request is not readable as HTTP.' };
  const body = JSON.stringify(problemDocument(problem, 'none'));
  const head = [`HTTP/1.1 ${status} ${reason}`, `Content-Type: ${problemContentType}`, `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close'];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

const unreadable: Readonly<Record<string, readonly [status: number, reason: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
};

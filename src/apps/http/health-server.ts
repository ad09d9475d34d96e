import { createServer, type Server } from 'node:http';
import type { Logger } from '../../ports/logger.ts';
import type { Role } from '../config.ts';
import { answerHealth, healthPaths, type HealthSource } from './health-routes.ts';
import { cannotListen, listeningAt, type Listening } from './listening.ts';
import { notFound, problemContentType, problemDocument } from './problem-document.ts';
import { requestIds } from './request-ids.ts';
import { otherRole } from './role-routes.ts';

/** Health and metrics of a role that has no other routes (dispatcher, worker): plain HTTP, no framework. */
export class HealthServer {
  readonly #server: Server;

  /** @param roles the roles that run in this process */
  constructor(source: HealthSource, roles: ReadonlySet<Role>, logger: Logger) {
    const nextRequestId = requestIds();
    this.#server = createServer({ requestTimeout: 10_000 }, (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      const known = healthPaths.find((candidate) => candidate === path);
      if (!known || (request.method !== 'GET' && request.method !== 'HEAD')) {
        const problem = notFound(otherRole(request.method ?? '', path, roles));
        response.writeHead(problem.status, { 'content-type': problemContentType }).end(JSON.stringify(problemDocument(problem, nextRequestId())));
        return;
      }
      answerHealth(known, source).then(
        ({ status, contentType, body }) => response.writeHead(status, { 'content-type': contentType }).end(body),
        (error: unknown) => {
          logger.error({ error, path }, 'a health route failed');
          response.writeHead(500).end();
        },
      );
    });
  }

  /** @throws CannotListen naming the port */
  listen(host: string, port: number): Promise<Listening> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(cannotListen(error, host, port)));
      this.#server.listen(port, host, () => {
        const address = this.#server.address();
        resolve(listeningAt(host, typeof address === 'object' && address ? address.port : port));
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

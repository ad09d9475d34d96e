import type { FastifyInstance } from 'fastify';
import { Problem } from '../../task-api/problem.ts';
import { callerOf, presentedKey, type ApiKey } from './api-keys.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated name; null where no keys are asked for. */
    callerName: string | null;
  }
}

/**
 * Asks every call under `/v1` for a key, before its body is read. Which route a call reaches is taken from the
 * router, not from the text of the URL: the router decodes `/%76%31/tasks` too.
 * @param keys null: nobody is asked, and every caller is anonymous
 */
export function authenticate(fastify: FastifyInstance, keys: readonly ApiKey[] | null): void {
  fastify.decorateRequest('callerName', null);
  if (keys === null) return;
  fastify.addHook('onRequest', (request, _reply, done) => {
    const path = request.routeOptions.url ?? request.url;
    if (!path.startsWith('/v1')) return done();
    request.callerName = callerOf(keys, presentedKey(request.headers));
    if (request.callerName !== null) return done();
    const detail = 'This call needs a valid key: Authorization: Bearer <key>.';
    done(new Problem({ status: 401, code: 'unauthenticated', title: 'Not authenticated', detail }));
  });
}

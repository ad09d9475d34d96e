import type { Role } from '../config.ts';

/** Which role answers a call. Only for saying so where that role does not run: the routes themselves are in its module. */
const routes: ReadonlyArray<readonly [role: Role, method: string, path: RegExp]> = [
  ['api', 'POST', /^\/v1\/tasks$/],
  ['api', 'POST', /^\/v1\/tasks\/[^/]+\/(cancel|retry)$/],
  ['diary', 'GET', /^\/v1\/tasks$/],
  ['diary', 'GET', /^\/v1\/tasks\/[^/]+$/],
  ['diary', 'GET', /^\/v1\/tasks\/[^/]+\/(events|attempts)$/],
  ['diary', 'GET', /^\/v1\/log$/],
  ['diary', 'GET', /^\/v1\/projections$/],
  ['diary', 'POST', /^\/v1\/projections\/[^/]+\/rebuild$/],
];

/** The role that answers a call and does not run here, or null. */
export function otherRole(method: string, url: string, here: ReadonlySet<Role>): Role | null {
  const path = url.split('?', 1)[0] ?? '';
  const asked = method === 'HEAD' ? 'GET' : method;
  const role = routes.find(([, known, pattern]) => known === asked && pattern.test(path))?.[0];
  return role === undefined || here.has(role) ? null : role;
}

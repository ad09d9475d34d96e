import { Registry } from 'prom-client';
import { expect, it, onTestFinished } from 'vitest';
import type { DependencyHealth } from '../../ports/service.ts';
import { createLogger } from '../logging.ts';
import { HealthServer } from './health-server.ts';
import { CannotListen } from './listening.ts';

const logger = createLogger({ level: 'silent', pretty: false });

async function open(health: () => readonly DependencyHealth[]) {
  const server = new HealthServer({ health, registry: new Registry() }, new Set(['worker']), logger);
  onTestFinished(() => server.close());
  return { server, ...(await server.listen('127.0.0.1', 0)) };
}

it('answers the three health routes', async () => {
  let ok = true;
  const { url } = await open(() => [{ name: 'queue', ok, detail: 'embedded' }]);
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect((await fetch(`${url}/metrics`)).headers.get('content-type')).toMatch(/^text\/plain/);
  expect((await fetch(`${url}/readyz?verbose`)).status).toBe(200);
  ok = false;
  const away = await fetch(`${url}/readyz`);
  expect([away.status, await away.json()]).toEqual([503, { status: 'not-ready', dependencies: { queue: { ok: false, detail: 'embedded' } } }]);
});

it('answers everything else with a problem, and names the role that a call is for', async () => {
  const { url } = await open(() => []);
  for (const [path, method, code] of [['/v1/tasks', 'POST', 'not-this-role'], ['/nothing', 'GET', 'not-found'], ['/livez', 'POST', 'not-found']] as const) {
    const answer = await fetch(`${url}${path}`, { method });
    expect([answer.status, answer.headers.get('content-type'), ((await answer.json()) as { code: string }).code]).toEqual([404, 'application/problem+json; charset=utf-8', code]);
  }
});

it('names the port that is taken', async () => {
  const { port } = await open(() => []);
  const second = new HealthServer({ health: () => [], registry: new Registry() }, new Set(['worker']), logger);
  const failure: unknown = await second.listen('127.0.0.1', port).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CannotListen);
  expect((failure as Error).message).toContain(`port ${port}`);
});

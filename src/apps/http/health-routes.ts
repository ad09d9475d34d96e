import type { Registry } from 'prom-client';
import type { DependencyHealth } from '../../ports/service.ts';

/** What the health routes tell about. */
export interface HealthSource {
  /** What this process needs, and whether that is there. Asked anew for every call. */
  readonly health: () => readonly DependencyHealth[];
  readonly registry: Registry;
}

export interface PlainAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export const healthPaths = ['/livez', '/readyz', '/metrics'] as const;

/**
 * The three routes of every role. `/livez`: the process turns. `/readyz`: everything it needs is there, else 503;
 * the process stays and recovers by itself. `/metrics`: Prometheus.
 */
export async function answerHealth(path: (typeof healthPaths)[number], { health, registry }: HealthSource): Promise<PlainAnswer> {
  switch (path) {
    case '/livez':
      return json(200, { status: 'ok' });
    case '/readyz': {
      const all = health();
      const isReady = all.every(({ ok }) => ok);
      const dependencies = Object.fromEntries(all.map(({ name, ok, detail }) => [name, { ok, detail }]));
      return json(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not-ready', dependencies });
    }
    case '/metrics':
      return { status: 200, contentType: registry.contentType, body: await registry.metrics() };
    default:
      return path satisfies never;
  }
}

function json(status: number, body: object): PlainAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(body) };
}

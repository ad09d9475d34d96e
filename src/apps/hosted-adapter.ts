import type { DependencyHealth, Service } from '../ports/service.ts';

/** An adapter among the services of a process: its health is the process's, and it closes after the roles have stopped. */
export function hostedAdapter(name: string, adapter: { health?(): { readonly ok: boolean; readonly detail: string }; close(): unknown }): Service {
  return {
    name,
    start: () => Promise.resolve(),
    stop: async () => void (await adapter.close()),
    health: (): readonly DependencyHealth[] => {
      const health = adapter.health?.();
      return health ? [{ name: 'connection', ok: health.ok, detail: health.detail }] : [];
    },
  };
}

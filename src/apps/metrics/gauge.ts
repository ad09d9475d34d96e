import { Gauge, type Registry } from 'prom-client';

/** A gauge, with at most one label, that is read anew for each scrape. */
export function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => ReadonlyArray<readonly [label: string, value: number]>,
): void {
  const metric: Gauge = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      for (const [label, value] of read()) {
        if (labelNames[0] === undefined) metric.set(value);
        else metric.set({ [labelNames[0]]: label }, value);
      }
    },
  });
}

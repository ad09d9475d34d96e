import { Counter, type Registry } from 'prom-client';

/** Problems answered over HTTP, by code. The numbers are kept where problems are answered, and copied for a scrape. */
export function registerProblemMetrics(registry: Registry, counts: ReadonlyMap<string, number>): void {
  new Counter({
    name: 'daybook_http_problems_total',
    help: 'Problems answered over HTTP, by code',
    labelNames: ['code'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [code, count] of counts) this.inc({ code }, count);
    },
  });
}

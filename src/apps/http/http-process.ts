import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import type { Config, Role } from '../config.ts';
import { healthSourceOf, processModule, type NestProcess, type ProcessPlan } from '../nest-process.ts';
import { HttpApp } from './http-app.ts';

/**
 * Starts a process whose roles answer calls: api, diary.
 * @throws CannotListen
 */
export async function startWithHttp(plan: ProcessPlan, config: Config, roles: ReadonlySet<Role>): Promise<NestProcess> {
  const app = await HttpApp.create({
    module: processModule(plan),
    roles,
    source: (context) => healthSourceOf(plan, context, new Registry()),
    logger: plan.logger,
    apiKeys: config.apiKeys,
    bodyLimitBytes: config.bodyLimitBytes,
    version: packageVersion(),
  });
  try {
    return { context: app.context, listening: await app.listen(config.host, config.port), close: () => app.close() };
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** Of this package: three folders up, from src as from dist. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return version;
}

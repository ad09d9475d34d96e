import { Registry } from 'prom-client';
import type { Config, Role } from '../config.ts';
import { healthSourceOf, startHeadless, type NestProcess, type ProcessPlan } from '../nest-process.ts';
import { HealthServer } from './health-server.ts';

/**
 * Starts a process whose roles answer no calls but for health and metrics: dispatcher, worker.
 * @throws CannotListen
 */
export async function startWithHealth(plan: ProcessPlan, config: Config, roles: ReadonlySet<Role>): Promise<NestProcess> {
  const { context, close } = await startHeadless(plan);
  const server = new HealthServer(healthSourceOf(plan, context, new Registry()), roles, plan.logger);
  try {
    const listening = await server.listen(config.host, config.port);
    return {
      context,
      listening,
      async close() {
        await close();
        await server.close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

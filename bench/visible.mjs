import { until } from './workload.mjs';

/** How far the end of one task may lie behind that of a later one: some multiples of what runs at once. */
const stragglers = 256;

/**
 * Waits until the diary shows the tasks submitted last as completed. The diary follows the log in order, so the
 * earlier ones are shown too; that all of them completed is checked in the log afterwards.
 * @param stateOf asks the diary, as a client would
 */
export async function waitUntilVisible(samples, stateOf) {
  for (const { id } of samples.slice(-stragglers).reverse()) {
    await until(async () => (await stateOf(id)) === 'completed', `task ${id} to be shown as completed`);
  }
}

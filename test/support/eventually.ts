import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 5;

/**
 * Waits until the condition gives a truthy value, and returns that value. A condition that throws does not hold yet.
 * @param timeoutMs after it, default 5,000, the wait fails and names what the condition last gave or threw
 */
export async function eventually<Value>(
  condition: () => Value | Promise<Value>,
  { timeoutMs = 5_000 }: { readonly timeoutMs?: number } = {},
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const last = await tryOnce(condition);
    if (last.value) return last.value;
    if (performance.now() >= deadline) {
      const found = 'error' in last ? `it threw ${String(last.error)}` : `it gave ${String(last.value)}`;
      throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}; ${found}`, { cause: last.error });
    }
    await delay(pollMs);
  }
}

async function tryOnce<Value>(condition: () => Value | Promise<Value>): Promise<{ value?: Value; error?: unknown }> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}

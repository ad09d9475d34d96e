import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultRetryPolicy, retryDelayMs, type RetryPolicy } from './retry-schedule.ts';

const policies: fc.Arbitrary<RetryPolicy> = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 1_000 }),
  backoff: fc.constantFrom('exponential' as const, 'fixed' as const),
  baseMs: fc.nat({ max: 30 * 86_400_000 }),
  maxMs: fc.nat({ max: 30 * 86_400_000 }),
});
const attempts = fc.integer({ min: 1, max: 1_200 });
const taskIds = fc.uuid();
const runs = { numRuns: 2_000 };

it('has the documented default: 3 attempts, exponential from 1 s to 5 min', () => {
  expect(defaultRetryPolicy).toEqual({ maxAttempts: 3, backoff: 'exponential', baseMs: 1_000, maxMs: 300_000 });
});

describe('the delay before the next attempt', () => {
  it('is min(max, base × 2^(n − 1)) times a factor in [0.5, 1]', () => {
    fc.assert(
      fc.property(policies, taskIds, attempts, (policy, taskId, attempt) => {
        const growth = policy.backoff === 'fixed' ? 1 : 2 ** (attempt - 1);
        const full = policy.baseMs === 0 ? 0 : Math.min(policy.maxMs, policy.baseMs * growth);
        const delayMs = retryDelayMs(policy, taskId, attempt);
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(full / 2));
        expect(delayMs).toBeLessThanOrEqual(full);
        expect(Number.isSafeInteger(delayMs)).toBe(true);
      }),
      runs,
    );
  });

  it('is the same whenever it is computed', () => {
    fc.assert(
      fc.property(policies, taskIds, attempts, (policy, taskId, attempt) => {
        expect(retryDelayMs(policy, taskId, attempt)).toBe(retryDelayMs({ ...policy }, taskId, attempt));
      }),
      runs,
    );
  });

  // Computed by another implementation: every dispatcher of a mixed fleet, and every replay, must agree on them.
  it.each([
    ['task-1', 1, 748],
    ['task-1', 2, 1_720],
    ['task-1', 3, 3_620],
  ])('of %s after attempt %i never changes', (taskId, attempt, delayMs) => {
    expect(retryDelayMs(defaultRetryPolicy, taskId, attempt)).toBe(delayMs);
  });

  it('spreads tasks that failed together over half of the delay', () => {
    const delays = Array.from({ length: 1_000 }, (_, index) => retryDelayMs({ ...defaultRetryPolicy, baseMs: 100_000 }, `task-${index}`, 1));
    expect(Math.min(...delays)).toBeLessThan(55_000);
    expect(Math.max(...delays)).toBeGreaterThan(95_000);
    expect(new Set(delays).size).toBeGreaterThan(900);
  });
});

describe("a handler's hint", () => {
  it('replaces the delay as it is, capped by the longest delay', () => {
    fc.assert(
      fc.property(policies, taskIds, attempts, fc.nat(), (policy, taskId, attempt, retryAfterMs) => {
        expect(retryDelayMs(policy, taskId, attempt, retryAfterMs)).toBe(Math.min(policy.maxMs, retryAfterMs));
      }),
      runs,
    );
  });

  it('of 0 means at once', () => expect(retryDelayMs(defaultRetryPolicy, 'task-1', 5, 0)).toBe(0));
});

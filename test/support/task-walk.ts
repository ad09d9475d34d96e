import fc from 'fast-check';
import { decide, defaultDispatchPolicy, type Decision } from '../../src/domain/dispatch-policy.ts';
import type { TaskAcceptedData, TaskExecutionFailedData } from '../../src/domain/task-events.ts';
import type { TaskState } from '../../src/domain/task-state.ts';
import { history, t0, type TaskHistory } from './task-history.ts';

/**
 * One thing that happens to a task: at the live dispatcher, at one that woke from a long pause and decides on an old
 * state, or believes a job lost that is not, at a worker that may be late, at an operator, or on the way (a copy of an
 * older record).
 */
export interface Step {
  readonly act: 'decide' | 'decideLate' | 'presumeLost' | 'start' | 'fail' | 'failUnstarted' | 'complete' | 'progress' | 'cancel' | 'retry' | 'accept' | 'copy' | 'noise';
  /** Chooses among whatever the act may choose from. */
  readonly choice: number;
  readonly afterMs: number;
}

export interface Walk {
  readonly events: TaskHistory;
  /** The state before each event, and the one after the last. */
  readonly states: readonly TaskState[];
  readonly nowMs: number;
  /** Every `Dispatch` that the live dispatcher acted upon, in order. */
  readonly dispatched: readonly number[];
}

const causes: ReadonlyArray<TaskExecutionFailedData['cause']> = ['handler', 'timeout', 'unknown-type', 'invalid-job', 'crash-loop', 'delivery-limit'];

const steps: fc.Arbitrary<Step> = fc.record({
  act: fc.oneof(
    { weight: 8, arbitrary: fc.constant('decide' as const) },
    { weight: 6, arbitrary: fc.constantFrom('start' as const, 'fail' as const) },
    { weight: 2, arbitrary: fc.constantFrom('decideLate' as const, 'presumeLost' as const, 'copy' as const, 'cancel' as const, 'retry' as const) },
    { weight: 2, arbitrary: fc.constantFrom('failUnstarted' as const, 'complete' as const, 'progress' as const) },
    { weight: 1, arbitrary: fc.constantFrom('accept' as const, 'noise' as const) },
  ),
  choice: fc.nat({ max: 0xffff }),
  afterMs: fc.constantFrom(0, 1, 700, 5_000, 60_000, 3_600_000),
});

const acceptances: fc.Arbitrary<Partial<TaskAcceptedData>> = fc.record({
  options: fc.constantFrom({}, { delayMs: 3_000 }, { expiresInMs: 9_000 }, { delayMs: 20_000, expiresInMs: 9_000 }, { queue: 'heavy' }),
  retry: fc.record({
    maxAttempts: fc.constantFrom(1, 2, 3),
    backoff: fc.constantFrom('exponential' as const, 'fixed' as const),
    baseMs: fc.constantFrom(0, 1_000),
    maxMs: fc.constantFrom(0, 300_000),
  }),
});

/** Histories as they come about: mostly legal, with the races, zombies, copies and noise that a real log holds. */
export const walks: fc.Arbitrary<Walk> = fc
  .tuple(acceptances, fc.array(steps, { maxLength: 40, size: 'max' }))
  .map(([acceptance, chosen]) => walk(acceptance, chosen));

function walk(acceptance: Partial<TaskAcceptedData>, chosen: readonly Step[]): Walk {
  let events = history().accepted(acceptance);
  const states = [history().state, events.state];
  const dispatched: number[] = [];
  let nowMs = t0;
  for (const step of chosen) {
    nowMs += step.afterMs;
    const decision = step.act === 'decide' ? pick(decide(events.state, defaultDispatchPolicy, nowMs), step) : undefined;
    if (decision?.type === 'WakeAt') nowMs = decision.timeMs;
    if (decision?.type === 'Dispatch') dispatched.push(decision.attempt);
    const next = decision ? recorded(events.at(nowMs), decision) : take(events.at(nowMs), states, step, nowMs);
    if (next.events.length > events.events.length) states.push(next.state);
    events = next;
  }
  return { events, states, nowMs, dispatched };
}

/** The history once the decision was carried out; waiting leaves nothing. */
export function recorded(events: TaskHistory, decision: Decision): TaskHistory {
  return decision.type === 'WakeAt' ? events : events.decided(decision);
}

function take(events: TaskHistory, states: readonly TaskState[], step: Step, nowMs: number): TaskHistory {
  const { act, choice } = step;
  const attempt = pick(events.state.attempts, step);
  const execution = attempt && pick(attempt.executions, step);
  const requestId = `request-${choice}`;
  switch (act) {
    case 'decide':
      return events;
    case 'decideLate': {
      const old = pick(states, step);
      const decision = old && pick(decide(old, defaultDispatchPolicy, nowMs), step);
      return decision ? recorded(events, decision) : events;
    }
    case 'presumeLost': {
      const dispatch = attempt && pick(attempt.dispatches, step);
      const lost = dispatch ? { attempt: attempt.attempt, issue: dispatch.issue, reason: choice % 2 > 0 ? ('presumed lost' as const) : ('queue lost' as const) } : null;
      const decision = pick(decide(events.state, defaultDispatchPolicy, nowMs, lost), step);
      return decision ? recorded(events, decision) : events;
    }
    case 'start':
      return attempt ? events.started(attempt.attempt, `e${choice}`, { issue: 1 + (choice % 2) }) : events;
    case 'fail':
      if (!attempt || !execution) return events;
      return events.failed(attempt.attempt, execution.executionId, { retryable: choice % 5 > 0, cause: choice % 3 > 0 ? 'handler' : 'timeout' });
    case 'failUnstarted':
      return attempt ? events.failed(attempt.attempt, null, { cause: causes[choice % causes.length] ?? 'handler' }) : events;
    case 'complete':
      return attempt && execution && choice % 3 === 0 ? events.completed(attempt.attempt, execution.executionId) : events;
    case 'progress':
      return attempt && execution ? events.progressed(attempt.attempt, execution.executionId, 1 + (choice % 9)) : events;
    case 'cancel':
      return events.cancellationRequested(requestId);
    case 'retry':
      return events.retryRequested(requestId);
    case 'accept':
      return events.accepted({ requestDigest: `digest-${1 + (choice % 2)}` });
    case 'copy': {
      const record = pick(events.records, step);
      return record ? events.raw(record) : events;
    }
    case 'noise':
      return noise(events, choice);
    default:
      return act satisfies never;
  }
}

/** Events that nobody should have written here. */
function noise(events: TaskHistory, choice: number): TaskHistory {
  const attempt = 1 + (choice % 4);
  const executionId = `e${choice % 3}`;
  const all = [
    () => events.garbage(),
    () => events.rejected(),
    () => events.dispatched(attempt, { queue: 'elsewhere', issue: 2 }),
    () => events.started(attempt, executionId),
    () => events.completed(attempt, executionId),
    () => events.failed(attempt, executionId),
    () => events.retryScheduled(attempt),
    () => events.retryScheduled(attempt, { reason: 'operator' }),
    () => events.cancelled(attempt),
    () => events.failedPermanently({ reason: 'not-retryable', attempts: attempt }),
    () => events.failedPermanently({ reason: 'expired', attempts: attempt }),
  ];
  return pick(all, { choice: choice >> 2 })?.() ?? events;
}

function pick<Item>(items: readonly Item[], { choice }: { readonly choice: number }): Item | undefined {
  return items[choice % items.length];
}

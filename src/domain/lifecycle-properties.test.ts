import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { history } from '../../test/support/task-history.ts';
import { recorded, walks, type Walk } from '../../test/support/task-walk.ts';
import { decide, defaultDispatchPolicy, type Decision } from './dispatch-policy.ts';
import { evolve, fold } from './evolve.ts';
import { judge } from './judgement.ts';
import type { DecodedRecord } from './task-events.ts';
import { phaseOf, type TaskState } from './task-state.ts';

/** Random histories with races, zombies, copies and noise: see `test/support/task-walk.ts`. */
const runs = { numRuns: 1_500 };
const slow = { timeout: 60_000 };

describe('the fold', slow, () => {
  it('changes nothing when valid events come again, wherever they come', () => {
    const copies = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(walks, copies, (walk, places) => {
        const again = [...walk.events.events];
        const valid = validOf(walk);
        for (const [which, where] of places) {
          const event = valid[which % valid.length];
          // A copy stands somewhere behind its original.
          const first = event ? again.indexOf(event) + 1 : 0;
          if (event) again.splice(first + (where % (again.length - first + 1)), 0, event);
        }
        expect(fold('task-1', again)).toEqual(walk.events.state);
      }),
      runs,
    );
  });

  it('changes nothing when everything valid is delivered once more from any point on', () => {
    fc.assert(
      fc.property(walks, fc.nat(), (walk, from) => {
        const valid = validOf(walk);
        expect(valid.slice(from % (valid.length + 1)).reduce(evolve, walk.events.state)).toEqual(walk.events.state);
      }),
      runs,
    );
  });

  it('gives the same from a stored state and the rest of the log as from the whole log', () => {
    fc.assert(
      fc.property(walks, fc.nat(), ({ events: { events, state } }, cut) => {
        const at = cut % (events.length + 1);
        const stored = JSON.parse(JSON.stringify(fold('task-1', events.slice(0, at)))) as TaskState;
        expect(events.slice(at).reduce(evolve, stored)).toEqual(state);
      }),
      runs,
    );
  });

  it('lets void events change nothing but the anomalies, and repeats nothing at all', () => {
    fc.assert(
      fc.property(walks, ({ events: { events }, states }) => {
        for (const [index, event] of events.entries()) {
          const [before, after] = [states[index]!, states[index + 1]!];
          const { kind } = judge(before, event);
          if (kind === 'void') expect(after).toEqual({ ...before, anomalies: after.anomalies });
          else if (kind !== 'valid') expect(after).toEqual(before);
        }
      }),
      runs,
    );
  });

  it('never changes a state that it was given', () => {
    fc.assert(
      fc.property(walks, ({ events: { events, state } }) => {
        let frozen: TaskState = history().state;
        for (const event of events) frozen = evolve(deepFreeze(frozen), deepFreeze(event));
        expect(frozen).toEqual(state);
      }),
      runs,
    );
  });
});

describe('decide', slow, () => {
  it('answers the same for the same state and time, and after a round through JSON', () => {
    fc.assert(
      fc.property(walks, ({ events: { state }, nowMs }) => {
        const decisions = decide(deepFreeze(state), defaultDispatchPolicy, nowMs);
        expect(decide(state, defaultDispatchPolicy, nowMs)).toEqual(decisions);
        expect(decide(JSON.parse(JSON.stringify(state)) as TaskState, defaultDispatchPolicy, nowMs)).toEqual(decisions);
      }),
      runs,
    );
  });

  it('never dispatches an attempt twice, whatever comes between', () => {
    fc.assert(
      fc.property(walks, ({ dispatched, events: { state } }) => {
        expect(dispatched).toEqual([...new Set(dispatched)]);
        for (const { dispatches } of state.attempts) {
          const issues = dispatches.map(({ issue }) => issue);
          expect(issues).toEqual([...new Set(issues)]);
        }
      }),
      runs,
    );
  });

  it('gives at most one next step, whatever dispatches are to be recorded beside it', () => {
    fc.assert(
      fc.property(walks, ({ states, nowMs }) => {
        for (const state of states) {
          const steps = decide(state, defaultDispatchPolicy, nowMs).filter(({ type }) => type !== 'RecordDispatch');
          expect(steps.length).toBeLessThanOrEqual(1);
        }
      }),
      runs,
    );
  });

  it('gives only decisions that count once they are recorded, in any order, and that are not given again', () => {
    fc.assert(
      fc.property(walks, fc.boolean(), ({ events, nowMs }, backwards) => {
        const decisions = [...decide(events.state, defaultDispatchPolicy, nowMs)];
        let after = events.at(nowMs);
        for (const decision of backwards ? decisions.reverse() : decisions) {
          const next = recorded(after, decision);
          if (next !== after) expect(judge(after.state, next.last)).toEqual({ kind: 'valid' });
          after = next;
        }
        const made = decisions.filter(({ type }) => type !== 'WakeAt');
        for (const decision of made) expect(decide(after.state, defaultDispatchPolicy, nowMs)).not.toContainEqual(decision);
      }),
      runs,
    );
  });

  it('comes to rest: at one instant, at most two steps of the task and its missing dispatches follow', () => {
    fc.assert(
      fc.property(walks, ({ events, nowMs }) => {
        let after = events.at(nowMs);
        const made: Decision[] = [];
        for (;;) {
          const decision = decide(after.state, defaultDispatchPolicy, nowMs).find(({ type }) => type !== 'WakeAt');
          if (!decision) break;
          made.push(decision);
          after = recorded(after, decision);
          expect(made.length).toBeLessThan(100);
        }
        // A scheduled retry may be due, or the re-opened task expired: one more step follows, then somebody else acts.
        expect(made.filter(({ type }) => type !== 'RecordDispatch').length).toBeLessThanOrEqual(2);
      }),
      runs,
    );
  });

  it('waits for a time to come, never for one that has passed', () => {
    fc.assert(
      fc.property(walks, ({ states, nowMs }) => {
        for (const state of states) {
          for (const decision of decide(state, defaultDispatchPolicy, nowMs)) {
            if (decision.type === 'WakeAt') expect(decision.timeMs).toBeGreaterThan(nowMs);
          }
        }
      }),
      runs,
    );
  });

  it('leaves no open task without a next step, unless a worker has it', () => {
    fc.assert(
      fc.property(walks, ({ states, nowMs }) => {
        for (const state of states.slice(1)) {
          const phase = phaseOf(state);
          const waits = phase === 'accepted' || phase === 'retrying';
          if (waits && !state.frozen) expect(decide(state, defaultDispatchPolicy, nowMs)).not.toEqual([]);
        }
      }),
      runs,
    );
  });

  it('decides nothing for a frozen task', () => {
    fc.assert(
      fc.property(walks, ({ events, nowMs }) => {
        expect(decide(events.ofNewerBuild().state, defaultDispatchPolicy, nowMs)).toEqual([]);
      }),
      runs,
    );
  });
});

describe('the random histories', slow, () => {
  it('reach every phase, every judgement and every decision, or they would prove nothing', () => {
    const seen = new Set<string>();
    for (const { events, states, nowMs } of fc.sample(walks, { numRuns: 1_000, seed: 7 })) {
      for (const state of states) {
        seen.add(`phase ${phaseOf(state)}`);
        const [newest] = state.attempts.slice(-1);
        const lost = newest && { attempt: newest.attempt, issue: newest.dispatches.at(-1)?.issue ?? 0, reason: 'presumed lost' as const };
        for (const { type } of decide(state, defaultDispatchPolicy, nowMs, lost)) seen.add(`decision ${type}`);
      }
      for (const [index, event] of events.events.entries()) seen.add(`judgement ${judge(states[index]!, event).kind}`);
      if (events.state.budgetFrom > 1) seen.add('re-opened');
    }
    expect([...seen]).toEqual(
      expect.arrayContaining([
        ...['accepted', 'dispatched', 'running', 'retrying', 'completed', 'failed', 'cancelled'].map((phase) => `phase ${phase}`),
        ...['Dispatch', 'Reissue', 'RecordDispatch', 'ScheduleRetry', 'FailPermanently', 'Cancel', 'WakeAt'].map((type) => `decision ${type}`),
        ...['valid', 'duplicate', 'repeat', 'void'].map((kind) => `judgement ${kind}`),
        're-opened',
      ]),
    );
  });
});

/** The events of a walk that counted. */
function validOf({ events: { events }, states }: Walk): readonly DecodedRecord[] {
  return events.filter((event, index) => judge(states[index]!, event).kind === 'valid');
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

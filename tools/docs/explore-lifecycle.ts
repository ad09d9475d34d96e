import { evolve } from '../../src/domain/evolve.ts';
import { judge } from '../../src/domain/judgement.ts';
import { permanentFailureReasons, type DecodedRecord } from '../../src/domain/task-events.ts';
import { initialState, phaseOf, type TaskState } from '../../src/domain/task-state.ts';
import { history } from '../../test/support/task-history.ts';

/** What the code says of the life of a task, each sorted. */
export interface Lifecycle {
  readonly phases: string[];
  /** `running TaskExecutionFailed retrying`; `none` before the first event. */
  readonly moves: string[];
  /** `TaskCancelled already-ended` */
  readonly voids: string[];
}

/** Tries every event on every state that at most five valid events lead to. */
export function exploreLifecycle(): Lifecycle {
  const [phases, moves, voids] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const known = new Set<string>();
  let frontier: TaskState[] = [initialState('task-1')];
  for (let depth = 0; depth < 6; depth++) {
    const next: TaskState[] = [];
    for (const state of frontier) {
      for (const event of events) {
        const judgement = judge(state, event);
        if (judgement.kind === 'void') voids.add(`${event.type} ${judgement.code}`);
        if (judgement.kind !== 'valid') continue;
        const after = { ...evolve(state, event), seen: [] };
        phases.add(String(phaseOf(after)));
        moves.add(`${phaseOf(state) ?? 'none'} ${event.type} ${phaseOf(after)}`);
        const key = JSON.stringify(after);
        if (!known.has(key)) next.push(after);
        known.add(key);
      }
    }
    frontier = next;
  }
  return { phases: [...phases].sort(), moves: [...moves].sort(), voids: [...voids].sort() };
}

/** Two attempts with three executions, each request twice, and what conflicts with it. */
const events: readonly DecodedRecord[] = [
  history().accepted(),
  history().accepted({ requestDigest: 'another request' }),
  history().rejected(),
  history().dispatched(1),
  history().dispatched(1, { queue: 'another' }),
  history().dispatched(2),
  history().started(1, 'e1'),
  history().started(1, 'e2'),
  history().started(2, 'e3'),
  history().started(2, 'e1'),
  history().progressed(1, 'e1', 1),
  history().progressed(2, 'e3', 1),
  history().completed(1, 'e1'),
  history().completed(2, 'e3'),
  history().failed(1, 'e1'),
  history().failed(1, null),
  history().failed(2, 'e3'),
  history().retryScheduled(2),
  history().retryScheduled(3),
  history().retryScheduled(2, { reason: 'operator' }),
  history().retryRequested('r1'),
  history().retryRequested('r2'),
  history().cancellationRequested('c1'),
  history().cancellationRequested('c2'),
  history().cancelled(),
  ...permanentFailureReasons.map((reason) => history().failedPermanently({ reason })),
  history().garbage(),
].map(({ last }) => last);

import type { TaskView } from '../../client/answers.ts';
import type { Client, SubmittedTask } from '../../client/create-client.ts';
import type { PlannedTask } from './demo-plan.ts';

/** A planned task and what became of it. */
export interface PlayedTask {
  readonly plan: PlannedTask;
  readonly submitted: SubmittedTask | null;
  /** As the diary showed it at the end; null when it was not seen to end. */
  readonly view: TaskView | null;
  /** Why it was not accepted, or not seen to end. */
  readonly trouble: string | null;
}

/** Tasks that need one attempt, submitted and awaited at a time: with more, the demo would measure its own queue. */
const inFlight = 32;

/**
 * Submits every planned task and waits for its end. Those that need several attempts, which mostly wait, go all at
 * once; beside them go the others, at most `inFlight` at a time. A task that goes wrong stops no other. Whatever has
 * not ended by `deadlineMs` (of `performance.now`) is given up.
 */
export async function runPlan(
  client: Client,
  plan: readonly PlannedTask[],
  deadlineMs: number,
  onEnd: () => void,
): Promise<readonly PlayedTask[]> {
  const playOne = async (task: PlannedTask) => {
    const played = await play(client, task, deadlineMs);
    onEnd();
    return played;
  };
  const patient = plan.filter(({ attempts }) => attempts > 1).map(playOne);
  const quick = plan.filter(({ attempts }) => attempts === 1).values();
  const playQuickOnes = async () => {
    const played: PlayedTask[] = [];
    // The iterator is shared, so each task is taken once.
    for (const task of quick) played.push(await playOne(task));
    return played;
  };
  const lanes = await Promise.all([Promise.all(patient), ...Array.from({ length: inFlight }, playQuickOnes)]);
  return lanes.flat();
}

async function play(client: Client, plan: PlannedTask, deadlineMs: number): Promise<PlayedTask> {
  let submitted: SubmittedTask | null = null;
  try {
    const timeoutMs = deadlineMs - performance.now();
    if (timeoutMs <= 0) throw new Error('the time was over before it was submitted');
    submitted = await client.submit(plan.type, plan.payload, { idempotencyKey: plan.idempotencyKey });
    const view = await client.wait(submitted, { timeoutMs: Math.max(0, deadlineMs - performance.now()) });
    return { plan, submitted, view, trouble: null };
  } catch (error) {
    return { plan, submitted, view: null, trouble: error instanceof Error ? error.message : String(error) };
  }
}

import { jobId } from '../domain/job.ts';
import { newestAttempt, type Attempt } from '../domain/task-state.ts';
import type { Heartbeat } from '../domain/heartbeat.ts';
import type { ReissueReason } from '../domain/task-events.ts';
import type { OpenTask } from './open-tasks.ts';

export interface LostJobsSettings {
  /** How long nothing is made of a job's silence; twice as long with every issue, at most 5 minutes. Default 5,000. */
  readonly sweepMs: number;
  /** A worker that was not heard for that long is gone. Default 15,000. */
  readonly presenceMs: number;
}

/** A job that is in nobody's hands. */
export interface LostJob {
  readonly task: OpenTask;
  readonly attempt: number;
  readonly issue: number;
  /** `queue lost`: its queue was lost with all jobs in it, after this one had been handed out. */
  readonly reason: ReissueReason;
}

interface Followed extends Omit<LostJob, 'reason'> {
  readonly queue: string;
  readonly dispatchedAtMs: number;
  readonly executions: number;
  /** When it was handed out already. */
  readonly followedSinceMs: number;
  /** When there was the last sign of it. */
  signMs: number;
  /** Since when it is known not to wait in its queue; null: it may. */
  leftQueueMs: number | null;
}

interface LiveWorker {
  readonly heardMs: number;
  readonly held: ReadonlySet<string>;
}

const longestSilenceMs = 300_000;

/**
 * Finds the jobs that were handed out and that neither the queue nor a worker has any more: the queue was wiped, or
 * deleted, or lost them.
 *
 * A job is lost when there was no sign of it for a time, then it was seen to have left its queue (the queue was empty,
 * or a job that was dispatched well after it was started), and then every live worker was heard without it. A backlog
 * is no loss: its jobs wait in the queue. A mistake is harmless: the attempt is delivered twice, and claims and fold
 * know it.
 *
 * All times are monotonic and of this process, but those that tell which of two dispatches came first: those are in
 * the log. Nobody is counted as gone for being silent while heartbeats cannot arrive.
 */
export class LostJobs {
  readonly #settings: LostJobsSettings;
  readonly #followed = new Map<string, Followed>();
  readonly #workers = new Map<string, LiveWorker>();
  /** Per queue the latest dispatch whose job was seen to start. */
  readonly #startedUpToMs = new Map<string, number>();
  #presentSinceMs: number | null = null;

  constructor(settings: LostJobsSettings) {
    this.#settings = settings;
  }

  /** A job that a worker takes, holds or lets go of is not lost: letting go, it may have given it back. */
  heard({ workerId, held, stopped }: Heartbeat, nowMs: number): void {
    const before = this.#workers.get(workerId)?.held ?? [];
    const ids = new Set(held.map(({ taskId, attempt }) => jobId(taskId, attempt)));
    for (const id of [...before, ...ids]) this.#noteSign(id, nowMs);
    if (stopped) this.#workers.delete(workerId);
    else this.#workers.set(workerId, { heardMs: nowMs, held: ids });
  }

  /** To be told of every execution that begins. */
  started({ attempt, issue }: { readonly attempt: Attempt; readonly issue: number }): void {
    const dispatch = attempt.dispatches.find((each) => each.issue === issue);
    if (!dispatch) return;
    const { queue, timeMs } = dispatch;
    this.#startedUpToMs.set(queue, Math.max(timeMs, this.#startedUpToMs.get(queue) ?? 0));
  }

  /**
   * Follows these and no others.
   * @returns the queues in which one of them may still wait: worth a look whether they are empty
   */
  follow(handedOut: Iterable<OpenTask>, nowMs: number): ReadonlySet<string> {
    const present = new Set<string>();
    for (const task of handedOut) {
      const found = jobHandedOut(task);
      if (!found) continue;
      const id = jobId(task.taskId, found.attempt);
      present.add(id);
      const known = this.#followed.get(id);
      const isSameIssue = known?.task === task && known.issue === found.issue;
      if (isSameIssue && known.executions === found.executions) continue;
      this.#followed.set(id, { ...found, followedSinceMs: isSameIssue ? known.followedSinceMs : nowMs, signMs: nowMs, leftQueueMs: null });
    }
    for (const id of this.#followed.keys()) if (!present.has(id)) this.#followed.delete(id);
    const queues = new Set<string>();
    for (const job of this.#silent(nowMs)) {
      const overtaken = (this.#startedUpToMs.get(job.queue) ?? 0) > job.dispatchedAtMs + this.#settings.sweepMs;
      if (overtaken) job.leftQueueMs = nowMs;
      else queues.add(job.queue);
    }
    return queues;
  }

  /** @param nowMs when the queue was asked, or later */
  sawEmpty(queue: string, nowMs: number): void {
    for (const job of this.#silent(nowMs)) if (job.queue === queue) job.leftQueueMs = nowMs;
  }

  /**
   * @param heartbeatsArrive whether all that were sent are heard by now
   * @param queueLostAtMs when a queue was lost last; -Infinity: never, as far as is known
   */
  find(nowMs: number, heartbeatsArrive: boolean, queueLostAtMs: (queue: string) => number): readonly LostJob[] {
    this.#presentSinceMs = heartbeatsArrive ? (this.#presentSinceMs ?? nowMs) : null;
    // Whoever lives was heard after so long; before, nobody can be ruled out.
    if (this.#presentSinceMs === null || nowMs - this.#presentSinceMs < this.#settings.presenceMs) return [];
    this.#forgetGone(nowMs, this.#presentSinceMs);
    // A heartbeat that was on its way while its worker took a job does not know of the job. It arrives in that time, or never.
    const deliveryMs = this.#settings.presenceMs / 2;
    const allHeardMs = Math.min(nowMs, ...[...this.#workers.values()].map(({ heardMs }) => heardMs));
    return [...this.#followed.values()]
      .filter(({ leftQueueMs }) => leftQueueMs !== null && leftQueueMs + deliveryMs < allHeardMs)
      .map(({ task, attempt, issue, queue, followedSinceMs }) => {
        const wasInQueue = followedSinceMs < queueLostAtMs(queue);
        return { task, attempt, issue, reason: wasInQueue ? 'queue lost' : 'presumed lost' };
      });
  }

  #noteSign(id: string, nowMs: number): void {
    const job = this.#followed.get(id);
    if (!job) return;
    job.signMs = nowMs;
    job.leftQueueMs = null;
  }

  /** What a worker held that is gone goes back to the queue, and is to be given the time for it. */
  #forgetGone(nowMs: number, presentSinceMs: number): void {
    for (const [workerId, { heardMs, held }] of this.#workers) {
      if (nowMs - Math.max(heardMs, presentSinceMs) < this.#settings.presenceMs) continue;
      this.#workers.delete(workerId);
      for (const id of held) this.#noteSign(id, nowMs);
    }
  }

  /** Those that may wait in their queue, and gave no sign for long enough to ask. */
  *#silent(nowMs: number): Iterable<Followed> {
    for (const job of this.#followed.values()) {
      const silenceMs = Math.min(longestSilenceMs, this.#settings.sweepMs * 2 ** (job.issue - 1));
      if (job.leftQueueMs === null && nowMs - job.signMs >= silenceMs) yield job;
    }
  }
}

/** Null while its dispatch is not in the log: it is recorded first. */
function jobHandedOut(task: OpenTask): Omit<Followed, 'followedSinceMs' | 'signMs' | 'leftQueueMs'> | null {
  const attempt = newestAttempt(task.state);
  const dispatch = attempt?.dispatches.at(-1);
  if (!attempt || !dispatch) return null;
  const { queue, issue, timeMs } = dispatch;
  return { task, attempt: attempt.attempt, issue, queue, dispatchedAtMs: timeMs, executions: attempt.executions.length };
}

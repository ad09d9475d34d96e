import { messageOf } from '../domain/errors.ts';
import { sleep, type Clock } from '../ports/clock.ts';
import type { JobSender } from '../ports/job-sender.ts';
import type { Logger } from '../ports/logger.ts';
import type { PresenceReader } from '../ports/presence-reader.ts';
import type { QueueInspection } from '../ports/queue-inspection.ts';
import { LostJobs, type LostJob, type LostJobsSettings } from './lost-jobs.ts';
import type { OpenTask } from './open-tasks.ts';

export interface LostJobSweepParts {
  readonly presence: PresenceReader;
  readonly inspection: QueueInspection;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: LostJobsSettings;
}

/** Looks for lost jobs every `sweepMs`: asks the queues, hears the workers, and leaves the judgement to `LostJobs`. */
export class LostJobSweep {
  readonly #parts: LostJobSweepParts;
  readonly #jobs: LostJobs;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** When a queue that jobs had been handed to was seen not to exist. */
  readonly #goneAtMs = new Map<string, number>();
  #queueProblem: string | null = null;

  constructor(parts: LostJobSweepParts) {
    this.#parts = parts;
    this.#jobs = new LostJobs(parts.settings);
  }

  /**
   * @param handedOut the tasks whose newest attempt has no outcome yet, as of each call
   * @param onLost called for each lost job, at every sweep until it is handed out anew
   */
  start(handedOut: () => Iterable<OpenTask>, onLost: (jobs: readonly LostJob[]) => void): void {
    const { presence, clock } = this.#parts;
    presence.start((heartbeat) => this.#jobs.heard(heartbeat, clock.monotonicMs()));
    this.#running = this.#run(handedOut, onLost);
  }

  /** To be told of every execution that begins. */
  started(execution: Parameters<LostJobs['started']>[0]): void {
    this.#jobs.started(execution);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#running, this.#parts.presence.stop()]);
  }

  async #run(handedOut: () => Iterable<OpenTask>, onLost: (jobs: readonly LostJob[]) => void): Promise<void> {
    const { presence, clock, settings } = this.#parts;
    for (;;) {
      await sleep(clock, settings.sweepMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      for (const queue of this.#jobs.follow(handedOut(), clock.monotonicMs())) await this.#lookAt(queue);
      const lost = this.#jobs.find(clock.monotonicMs(), presence.isCurrent(), (queue) => this.#lostAtMs(queue));
      if (lost.length > 0) onLost(lost);
    }
  }

  /** As the sweep or the sender found it: the sender declares a queue again that it finds gone, and then nobody else does. */
  #lostAtMs(queue: string): number {
    return Math.max(this.#goneAtMs.get(queue) ?? -Infinity, this.#parts.sender.queueLostAtMs(queue) ?? -Infinity);
  }

  /** A queue that does not answer proves nothing: its jobs are looked at again with the next sweep. */
  async #lookAt(queue: string): Promise<void> {
    const { inspection, clock, logger } = this.#parts;
    try {
      const askedAtMs = clock.monotonicMs();
      const ready = await inspection.readyJobs(queue);
      if (ready === null) this.#goneAtMs.set(queue, askedAtMs);
      if (!ready) this.#jobs.sawEmpty(queue, clock.monotonicMs());
      this.#queueProblem = null;
    } catch (error) {
      const problem = messageOf(error);
      if (this.#queueProblem !== problem) logger.warn({ queue, error: problem }, 'the queue could not be looked at for lost jobs');
      this.#queueProblem = problem;
    }
  }
}

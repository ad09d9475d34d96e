import { DaybookError } from '../../domain/errors.ts';
import type { QueueInspection } from '../../ports/queue-inspection.ts';
import type { EmbeddedJobs } from './embedded-jobs.ts';

/** Counts the waiting jobs of a data folder. */
export class EmbeddedQueueInspection implements QueueInspection {
  readonly #jobs: EmbeddedJobs;

  constructor(jobs: EmbeddedJobs) {
    this.#jobs = jobs;
  }

  async readyJobs(queue: string): Promise<number> {
    try {
      return this.#jobs.ready(queue);
    } catch (cause) {
      throw new DaybookError('queue-unavailable', `The jobs of the queue ${queue} could not be counted: ${String(cause)}`, { cause });
    }
  }
}

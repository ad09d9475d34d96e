import type { Job } from '../../domain/job.ts';
import type { JobSender, SendOutcome } from '../../ports/job-sender.ts';
import { jobBody, type EmbeddedJobs } from './embedded-jobs.ts';
import { CommitError } from './group-commit.ts';

/**
 * Puts jobs into the data folder's file. Queues come into being with their first job. Sending the same issue of an
 * attempt again, while it waits or is held, changes nothing and is confirmed.
 */
export class EmbeddedJobSender implements JobSender {
  readonly #jobs: EmbeddedJobs;

  constructor(jobs: EmbeddedJobs) {
    this.#jobs = jobs;
  }

  async send(job: Job): Promise<SendOutcome> {
    const body = jobBody(job);
    const bytes = Buffer.byteLength(body);
    const { maxJobBytes, store } = this.#jobs;
    if (bytes > maxJobBytes) return { type: 'refused', detail: `The job takes ${bytes} bytes; a queue takes at most ${maxJobBytes}` };
    try {
      const added = await store.commits.run(() => this.#jobs.add(job, body), bytes);
      return added === 'full' ? { type: 'refused', detail: 'The queues are full' } : { type: 'confirmed' };
    } catch (error) {
      return sendFailure(error);
    }
  }

  /** Its jobs stand in the file of the log: neither is lost alone. */
  queueLostAtMs(): null {
    return null;
  }
}

function sendFailure(error: unknown): SendOutcome {
  if (!(error instanceof CommitError)) return { type: 'unknown', detail: String(error) };
  switch (error.reason) {
    case 'full':
      return { type: 'refused', detail: error.message };
    case 'late':
    case 'closed':
      return { type: 'not-sent', detail: error.message };
    case 'failed':
      return { type: 'unknown', detail: error.message };
    default:
      return error.reason satisfies never;
  }
}

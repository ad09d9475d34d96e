import type { Job } from '../domain/job.ts';

/**
 * Hands jobs to the execution queue.
 *
 * Durability: `confirmed` means the queue keeps the job across its own crash.
 * Duplicates: sending a job again may deliver it twice; workers recognise it by task and attempt.
 * Order: none is promised.
 */
export interface JobSender {
  /** Never rejects: each way of failing is an outcome, because the dispatcher must treat each differently. */
  send(job: Job): Promise<SendOutcome>;

  /**
   * When this process last found the queue gone, as monotonic time: what was handed to it before is not in it any more.
   * Null: it never did, which proves nothing.
   */
  queueLostAtMs(queue: string): number | null;
}

/**
 * - `confirmed`: the queue has the job. Only this is a dispatch.
 * - `refused`: the queue said no (no such queue, full). It does not have it.
 * - `not-sent`: there was no connection; nothing left this process.
 * - `unknown`: it was sent and no answer came in time. The queue may have it.
 */
export type SendOutcome =
  | { readonly type: 'confirmed' }
  | { readonly type: 'refused' | 'not-sent' | 'unknown'; readonly detail: string };

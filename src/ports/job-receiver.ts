import type { Job } from '../domain/job.ts';

/**
 * Receives jobs from the execution queue.
 *
 * Duplicates: a job that was not acknowledged is delivered again, here or elsewhere, after this process dies, gives
 * it back or stops. The same job may also be delivered twice at once.
 * Order: roughly first in, first out; nothing may depend on it.
 * A message that is no job is parked by the adapter, counted, and never delivered.
 */
export interface JobReceiver {
  /**
   * Starts deliveries from one queue.
   * @param prefetch the most deliveries that are neither acknowledged nor given back at one time
   * @param deliver called for each job; must not throw
   */
  consume(queue: string, prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer;

  /**
   * The same for dead letters: jobs that a queue gave up on, because they came back more often than its limit allows.
   * They come from all queues together, and no limit holds for them any more. An adapter whose queues never give up
   * delivers none.
   */
  consumeDeadLetters(prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer;
}

export interface JobConsumer {
  /** Stops and resumes deliveries; what is held stays held. */
  pause(): void;
  resume(): void;
  /** Stops deliveries for good and gives back everything that was not acknowledged. Idempotent. */
  stop(): Promise<void>;
}

export interface JobDelivery {
  readonly job: Job;
  /** The queue may have delivered this job before. A hint. */
  readonly redelivered: boolean;
  /**
   * How often its queue took the job back, as far as the queue counts: 0 for the first delivery, at least 1 once a
   * process died with it. No proof that it kills: RabbitMQ up to 4.2 counts orderly returns too, and every version
   * counts a connection that was lost with jobs in hand, whichever of them is to blame. The embedded queue counts the
   * returns within its process; all that happened before counts as one. Another issue begins at 0. Of a dead letter
   * it says nothing.
   */
  readonly returns: number;
  /** Its queue gave up on it. */
  readonly deadLetter: boolean;
  /**
   * Removes the job from the queue. Resolves when the queue knows.
   * @throws DaybookError `stale-delivery`: settled before, or the queue has taken the job back meanwhile. The job
   *   will be, or was, delivered again.
   * @throws DaybookError `queue-unavailable`: not known to be removed; the job may be delivered again
   */
  ack(): Promise<void>;
  /** Gives the job back at once, to be delivered again. Settles the delivery; a second call does nothing. */
  giveBack(): void;
}

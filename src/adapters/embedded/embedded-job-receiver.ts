import { DaybookError } from '../../domain/errors.ts';
import type { Job } from '../../domain/job.ts';
import type { JobConsumer, JobDelivery, JobReceiver } from '../../ports/job-receiver.ts';
import { parseJobBody, type EmbeddedJobs } from './embedded-jobs.ts';
import type { JobLane, LaneConsumer, WaitingJob } from './job-lane.ts';

/** Delivers jobs from the data folder's file within the process that owns it. */
export class EmbeddedJobReceiver implements JobReceiver {
  readonly #jobs: EmbeddedJobs;

  constructor(jobs: EmbeddedJobs) {
    this.#jobs = jobs;
  }

  /** Messages that were no jobs, since the folder was made; they are kept in the table `parked_jobs`. */
  get parked(): number {
    return this.#jobs.parked;
  }

  consume(queue: string, prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer {
    return new EmbeddedJobConsumer(this.#jobs, this.#jobs.lane(queue), prefetch, deliver);
  }

  /** These queues keep a job until it is acknowledged, however often it comes back. */
  consumeDeadLetters(): JobConsumer {
    return { pause: () => undefined, resume: () => undefined, stop: () => Promise.resolve() };
  }
}

class EmbeddedJobConsumer implements JobConsumer, LaneConsumer {
  readonly #jobs: EmbeddedJobs;
  readonly #lane: JobLane;
  readonly #prefetch: number;
  readonly #deliver: (delivery: JobDelivery) => void;
  readonly #held = new Set<EmbeddedJobDelivery>();
  #paused = false;
  #stopped: Promise<void> | undefined;

  constructor(jobs: EmbeddedJobs, lane: JobLane, prefetch: number, deliver: (delivery: JobDelivery) => void) {
    this.#jobs = jobs;
    this.#lane = lane;
    this.#prefetch = prefetch;
    this.#deliver = deliver;
    lane.attach(this);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#lane.pump();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  ready(): boolean {
    return !this.#paused && this.#held.size < this.#prefetch;
  }

  take(waiting: WaitingJob): void {
    const job = parseJobBody(waiting.body);
    if (!job) return this.#park(waiting);
    const delivery = new EmbeddedJobDelivery(job, waiting, this.#jobs, this.#lane, () => {
      this.#held.delete(delivery);
      this.#lane.pump();
    });
    this.#held.add(delivery);
    this.#deliver(delivery);
  }

  async #stop(): Promise<void> {
    this.#lane.detach(this);
    for (const delivery of this.#held) delivery.giveBack();
    // What is left is being acknowledged; each settles with its commit, one way or the other.
    await Promise.all([...this.#held].map((delivery) => delivery.settled));
  }

  /** A row that could not be put aside now stays where it is: it is found and tried again after the next start. */
  #park({ id }: WaitingJob): void {
    this.#jobs.store.commits.run(() => this.#jobs.park(id)).catch(() => undefined);
  }
}

class EmbeddedJobDelivery implements JobDelivery {
  readonly job: Job;
  readonly redelivered: boolean;
  readonly returns: number;
  readonly deadLetter = false;
  readonly #waiting: WaitingJob;
  readonly #jobs: EmbeddedJobs;
  readonly #lane: JobLane;
  readonly #onSettled: () => void;
  #state: 'held' | 'acknowledging' | 'settled' = 'held';
  /** Resolves when an acknowledgement that is on its way has its answer. */
  settled: Promise<void> = Promise.resolve();

  constructor(job: Job, waiting: WaitingJob, jobs: EmbeddedJobs, lane: JobLane, onSettled: () => void) {
    this.job = job;
    this.returns = waiting.returns;
    this.redelivered = waiting.returns > 0;
    this.#waiting = waiting;
    this.#jobs = jobs;
    this.#lane = lane;
    this.#onSettled = onSettled;
  }

  ack(): Promise<void> {
    if (this.#state !== 'held') {
      const detail = `The delivery of attempt ${this.job.attempt} of task ${this.job.taskId} was settled before`;
      return Promise.reject(new DaybookError('stale-delivery', detail));
    }
    this.#state = 'acknowledging';
    const removed = this.#jobs.store.commits.run(() => this.#jobs.remove(this.#waiting.id)).then(
      () => this.#settle(),
      (cause: unknown) => this.#takeBackUnknown(cause),
    );
    this.settled = removed.catch(() => undefined);
    return removed;
  }

  giveBack(): void {
    if (this.#state !== 'held') return;
    this.#settle();
    this.#lane.giveBack(this.#waiting);
  }

  #settle(): void {
    this.#state = 'settled';
    this.#onSettled();
  }

  /** The row may still be there, so the job is delivered again: a repeat is harmless, a forgotten job is not. */
  #takeBackUnknown(cause: unknown): never {
    this.#settle();
    this.#lane.giveBack(this.#waiting);
    throw new DaybookError('queue-unavailable', `The queue did not confirm the acknowledgement: ${String(cause)}`, { cause });
  }
}

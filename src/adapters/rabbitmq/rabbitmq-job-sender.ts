import { hasCode } from '../../domain/errors.ts';
import type { Job } from '../../domain/job.ts';
import type { JobSender, SendOutcome } from '../../ports/job-sender.ts';
import type { DependencyHealth } from '../../ports/service.ts';
import { encodeJob, jobProperties } from './rabbitmq-job-message.ts';
import { messageOf, type LinkSession } from './rabbitmq-link.ts';
import { RabbitmqPublisher, type PublishOutcome, type RabbitmqPublisherOptions } from './rabbitmq-publisher.ts';
import { RabbitmqTopology } from './rabbitmq-topology.ts';

export interface RabbitmqJobSenderOptions extends Omit<RabbitmqPublisherOptions, 'prepare'> {
  readonly topic: string;
  /** Queues to declare before there is a job for them; default `default`. The others are declared with their first. */
  readonly queues?: readonly string[];
  /** See RabbitmqTopologyOptions. */
  readonly maxQueueJobs?: number;
  /** The largest job as JSON, default 1 MiB. A larger one is refused; the broker would close the channel over it. */
  readonly maxJobBytes?: number;
  /** How long a queue whose declaration failed is left alone; default 1 s. Its jobs are not sent meanwhile. */
  readonly declarePauseMs?: number;
}

/**
 * How long a queue stays away once it was found gone. A queue that comes back within some 20 ms of its deletion leaves
 * its consumers attached and deaf (seen on RabbitMQ 3.10.8): the broker moves them over silently, counts jobs as
 * delivered to them, and never delivers any. After this pause the broker has told them, and they start anew.
 */
const gonePauseMs = 1_000;
const maxQueues = 1_000;
/** AMQP's limit. */
const maxNameBytes = 255;

type Failure = Exclude<SendOutcome, { type: 'confirmed' }>;

interface Lane {
  readonly queue: string;
  /** The generation of the connection that declared it last; 0: it has to be declared. */
  declaredIn: number;
  everDeclared: boolean;
  lostAtMs: number | null;
  declaring: Promise<void> | null;
  /** Why nothing can be sent to it; it is not declared again before then. */
  problem: { readonly outcome: Failure; readonly untilMs: number } | null;
}

/**
 * Publishes jobs to RabbitMQ and declares their queues: when it connects, when a lane gets its first job, and again
 * when RabbitMQ sends a job back because its queue is gone. It connects at once and keeps connected until closed.
 */
export class RabbitmqJobSender implements JobSender {
  readonly #options: RabbitmqJobSenderOptions;
  readonly #topology: RabbitmqTopology;
  readonly #publisher: RabbitmqPublisher;
  readonly #lanes = new Map<string, Lane>();
  /** The generation of the connection that declared the exchanges last. */
  #exchangesIn = 0;

  constructor(options: RabbitmqJobSenderOptions) {
    this.#options = options;
    this.#topology = new RabbitmqTopology(options);
    for (const queue of options.queues ?? ['default']) this.#laneOf(queue);
    this.#publisher = new RabbitmqPublisher({ ...options, prepare: (session) => this.#declareKnown(session) });
  }

  async send(job: Job): Promise<SendOutcome> {
    const body = encodeJob(job);
    const lane = this.#laneOf(job.queue);
    if (!lane) return refused(`There are ${maxQueues} queues already; ${job.queue} would be one too many`);
    const tooLarge = this.#excessOf(job, body);
    if (tooLarge) return refused(tooLarge);
    const { session } = this.#publisher;
    // Without a connection it waits in the publisher; the next one declares every lane that is known.
    if (session && lane.declaredIn !== session.generation && this.#mayDeclare(lane)) await this.#declare(session, lane);
    const outcome = await this.#publisher.publish({
      exchange: this.#topology.names.jobsExchange,
      routingKey: job.queue,
      body,
      properties: jobProperties(job),
      refusal: () => lane.problem?.outcome ?? null,
    });
    return this.#sendOutcome(lane, outcome);
  }

  queueLostAtMs(queue: string): number | null {
    return this.#lanes.get(queue)?.lostAtMs ?? null;
  }

  /** Whether it is connected and its queues are declared. */
  get ready(): boolean {
    return this.#publisher.session !== null && this.health().ok;
  }

  health(): DependencyHealth {
    const { name, ok, detail } = this.#publisher.health();
    const problem = [...this.#lanes.values()].find((lane) => lane.problem)?.problem;
    return ok && problem ? { name, ok: false, detail: problem.outcome.detail } : { name, ok, detail };
  }

  /** Settles every send, at most within the confirm deadline, and closes the connection. Idempotent. */
  close(): Promise<void> {
    return this.#publisher.close();
  }

  #excessOf(job: Job, body: Buffer): string | null {
    const { maxJobBytes = 1024 * 1024 } = this.#options;
    if (body.length > maxJobBytes) return `The job takes ${body.length} bytes; a queue takes at most ${maxJobBytes}`;
    const name = this.#topology.names.laneQueue(job.queue);
    if (name.length > maxNameBytes) return `RabbitMQ takes names of at most ${maxNameBytes} bytes: shorten the topic or the queue of ${name}`;
    return null;
  }

  #laneOf(queue: string): Lane | undefined {
    let lane = this.#lanes.get(queue);
    if (lane || this.#lanes.size >= maxQueues) return lane;
    lane = { queue, declaredIn: 0, everDeclared: false, lostAtMs: null, declaring: null, problem: null };
    this.#lanes.set(queue, lane);
    return lane;
  }

  #mayDeclare({ problem }: Lane): boolean {
    return problem === null || this.#options.clock.monotonicMs() >= problem.untilMs;
  }

  async #declareKnown(session: LinkSession): Promise<void> {
    for (const lane of this.#lanes.values()) {
      // A lane that cannot be declared keeps its problem, and no other lane from working.
      await this.#declare(session, lane);
      if (session.lost.aborted) return;
    }
  }

  /** Never rejects; a failure is the lane's problem. Callers at the same time share one declaration. */
  #declare(session: LinkSession, lane: Lane): Promise<void> {
    return (lane.declaring ??= this.#tryDeclare(session, lane).finally(() => (lane.declaring = null)));
  }

  async #tryDeclare({ connection, generation, lost }: LinkSession, lane: Lane): Promise<void> {
    const { clock, logger, declarePauseMs = 1_000 } = this.#options;
    try {
      await this.#declareExchanges(connection, generation);
      // From before the look, so that nothing sent after it is taken for lost.
      const askedAtMs = clock.monotonicMs();
      // Looked at before it is made again: of a declaration whose answer got lost nobody could tell what was there.
      const isMissing = (await this.#topology.lookAtLane(connection, lane.queue)) === null;
      if (isMissing && lane.everDeclared) {
        lane.lostAtMs = askedAtMs;
        logger.warn({ queue: lane.queue }, 'the queue is gone, with the jobs that it held: it is declared again');
      }
      await this.#topology.declareLane(connection, lane.queue);
      if (isMissing && !lane.everDeclared) logger.info({ queue: lane.queue }, 'queue declared');
      lane.declaredIn = generation;
      lane.everDeclared = true;
      lane.problem = null;
    } catch (error) {
      // A request that died with its connection says nothing about the lane.
      if (lost.aborted) return;
      const detail = messageOf(error);
      if (lane.problem?.outcome.detail !== detail) logger.error({ queue: lane.queue, error }, 'the queue cannot be declared: its jobs are not sent');
      const outcome: Failure = { type: hasCode(error, 'configuration-invalid') ? 'refused' : 'not-sent', detail };
      lane.problem = { outcome, untilMs: clock.monotonicMs() + declarePauseMs };
    }
  }

  async #declareExchanges(connection: LinkSession['connection'], generation: number): Promise<void> {
    if (this.#exchangesIn === generation) return;
    await this.#topology.declareExchanges(connection);
    this.#exchangesIn = generation;
  }

  #sendOutcome(lane: Lane, outcome: PublishOutcome): SendOutcome {
    if (outcome.type === 'confirmed') return outcome;
    if (outcome.type !== 'returned') return { type: outcome.type, detail: outcome.detail };
    // The queue, its binding or the exchange is gone: everything is declared anew before the next try.
    lane.declaredIn = 0;
    this.#exchangesIn = 0;
    const refusal = refused(`${outcome.detail}: the queue ${this.#topology.names.laneQueue(lane.queue)} is gone, and will be declared again`);
    lane.problem ??= { outcome: refusal, untilMs: this.#options.clock.monotonicMs() + gonePauseMs };
    return refusal;
  }
}

function refused(detail: string): Failure {
  return { type: 'refused', detail };
}

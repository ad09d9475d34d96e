import { DaybookError } from '../domain/errors.ts';
import { jobId } from '../domain/job.ts';
import type { EventProducer } from '../event-producer/event-producer.ts';
import type { Clock } from '../ports/clock.ts';
import type { ExecutionClaims } from '../ports/execution-claims.ts';
import type { Ids } from '../ports/ids.ts';
import type { JobConsumer, JobDelivery, JobReceiver } from '../ports/job-receiver.ts';
import type { Logger } from '../ports/logger.ts';
import type { HeldJob } from '../domain/heartbeat.ts';
import type { PresenceWriter } from '../ports/presence-writer.ts';
import type { DependencyHealth, Service } from '../ports/service.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import { ExecutionGuard } from './execution-guard.ts';
import { JobPipeline } from './job-pipeline.ts';
import { Leases } from './leases.ts';
import { LogWriter } from './log-writer.ts';
import { Pauses } from './pauses.ts';
import { Presence } from './presence.ts';
import { Slots } from './slots.ts';

export interface WorkerSettings {
  /** Names this worker in history. */
  readonly workerId: string;
  readonly queues: readonly string[];
  /** The most handlers that run at one time; at least 1. Default 16. */
  readonly concurrency?: number;
  /**
   * The most jobs held per queue. Default 4 × concurrency: a job is held until its outcome is recorded, longer than
   * its handler runs.
   */
  readonly prefetch?: number;
  /** How long a claim holds unless it is renewed, which happens at a third of it. Default 10,000. */
  readonly leaseMs?: number;
  /** A worker that is silent for so long counts as gone; a heartbeat goes out three times as often. Default 15,000. */
  readonly presenceMs?: number;
  /** Of a result, as JSON in UTF-8. Default 256 KiB. */
  readonly maxResultBytes?: number;
  /** Of a child task's payload, likewise. Default 256 KiB. */
  readonly maxPayloadBytes?: number;
  /** Levels of objects and lists in a result or a child task's payload. Default 32. */
  readonly maxDepth?: number;
}

export interface WorkerParts {
  readonly receiver: JobReceiver;
  readonly claims: ExecutionClaims;
  readonly producer: EventProducer;
  readonly presence: PresenceWriter;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly catalog: TaskCatalog;
  readonly settings: WorkerSettings;
}

interface JobInHand extends HeldJob {
  /** The newest delivery is settled, and with it those before it. */
  readonly settled: Promise<void>;
}

/** Held at one time. */
const mostDeadLetters = 1;
/** How long before its deadline a drain asks the handlers to end: a second, or a quarter of a shorter deadline. */
const longestAbortGraceMs = 1_000;
/** How long after its deadline a drain waits for claims to be released and records under way to settle. */
const settlingMs = 1_000;

/**
 * Executes jobs: appends events and consumes jobs, and never reads history. What happens to one job stands in
 * `JobPipeline`; here is what concerns all of them.
 */
export class Worker implements Service {
  readonly name = 'worker';
  readonly #parts: WorkerParts;
  readonly #guard: ExecutionGuard;
  readonly #leases: Leases;
  readonly #pauses: Pauses;
  readonly #writer: LogWriter;
  readonly #pipeline: JobPipeline;
  readonly #presence: Presence;
  /** By job id, from the moment a delivery is received until it is settled. */
  readonly #inHand = new Map<string, JobInHand>();
  #consumers: readonly JobConsumer[] = [];
  #stopping: Promise<void> | null = null;

  /** @throws DaybookError `configuration-invalid`: a task requires a guard, and the claims guard nothing */
  constructor(parts: WorkerParts) {
    const { claims, producer, clock, ids, logger, catalog } = parts;
    const { workerId, concurrency = 16, leaseMs = 10_000, maxResultBytes = 262_144, maxPayloadBytes = 262_144, maxDepth = 32 } = parts.settings;
    refuseMissingGuard(catalog, claims);
    this.#parts = parts;
    this.#pauses = new Pauses(clock);
    this.#guard = new ExecutionGuard(claims, logger);
    this.#leases = new Leases(leaseMs, this.#guard, clock, logger);
    this.#writer = new LogWriter({
      producer,
      logger,
      pauses: this.#pauses,
      onAway: () => this.#consumers.forEach((consumer) => consumer.pause()),
      onBack: () => this.#consumeAgain(),
    });
    this.#pipeline = new JobPipeline({
      guard: this.#guard,
      leases: this.#leases,
      writer: this.#writer,
      slots: new Slots(concurrency),
      pauses: this.#pauses,
      producer,
      clock,
      ids,
      logger,
      catalog,
      workerId,
      maxResultBytes,
      maxPayloadBytes,
      maxDepth,
    });
    const { presence: writer, settings: { queues, presenceMs = 15_000 } } = parts;
    const held = () => [...this.#inHand.values()].map(({ taskId, attempt }) => ({ taskId, attempt }));
    this.#presence = new Presence({ writer, clock, logger, workerId, queues, concurrency, presenceMs, held });
  }

  async start(): Promise<void> {
    if (this.#stopping) return;
    const { receiver, settings } = this.#parts;
    const { queues, concurrency = 16, prefetch = 4 * concurrency } = settings;
    this.#presence.start();
    const deliver = (delivery: JobDelivery) => this.#deliver(delivery);
    this.#consumers = queues.map((queue) => receiver.consume(queue, prefetch, deliver));
    // Without claims nobody would know when to stop running what kills its workers: then the dispatcher finds the job
    // lost, and issues it again a bounded number of times.
    if (this.#guard.guards) this.#consumers = [...this.#consumers, receiver.consumeDeadLetters(mostDeadLetters, deliver)];
  }

  /**
   * Drains: takes nothing more, gives back what has not started, lets handlers finish and records their outcomes.
   * Shortly before the deadline the handlers' signals abort; at the deadline what is left is broken off in good
   * order: its claims are released and its jobs given back. Settles at the latest two seconds after the deadline.
   */
  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#drain(deadlineMs);
    return this.#stopping;
  }

  health(): readonly DependencyHealth[] {
    const { away } = this.#writer;
    const { guards, reachable } = this.#guard;
    return [
      { name: 'log', ok: !away, detail: away ? 'takes no events: consuming is paused until it does' : 'takes events' },
      {
        name: 'claims',
        // Jobs that need them ask again every second. Without one, nobody would notice that they are back.
        ok: reachable || this.#inHand.size === 0 || !this.#parts.catalog.requiresGuard,
        detail: guards ? (reachable ? 'guard executions' : 'cannot be reached') : 'none: executions run unguarded',
      },
      this.#presence.health(),
    ];
  }

  /** One delivery per (task, attempt) at a time: the same job may come twice at once, and the second waits its turn. */
  #deliver(delivery: JobDelivery): void {
    const { taskId, attempt } = delivery.job;
    const id = jobId(taskId, attempt);
    const before = this.#inHand.get(id);
    const settled = before ? before.settled.then(() => this.#pipeline.process(delivery)) : this.#pipeline.process(delivery);
    const inHand = { taskId, attempt, settled };
    this.#inHand.set(id, inHand);
    void settled.then(() => {
      if (this.#inHand.get(id) === inHand) this.#inHand.delete(id);
    });
  }

  #consumeAgain(): void {
    if (!this.#stopping) for (const consumer of this.#consumers) consumer.resume();
  }

  async #drain(deadlineMs: number): Promise<void> {
    const graceMs = Math.min(longestAbortGraceMs, deadlineMs / 4);
    for (const consumer of this.#consumers) consumer.pause();
    this.#pipeline.drain();
    if (!(await this.#idle(deadlineMs - graceMs))) {
      this.#pipeline.abortHandlers();
      if (!(await this.#idle(graceMs))) {
        this.#pipeline.end();
        await this.#idle(settlingMs);
      }
    }
    this.#leases.stop();
    // Gives back whatever a call that does not return still holds.
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
    await this.#presence.stop();
  }

  /** Whether all jobs in hand are settled within that time. */
  #idle(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.setTimer(withinMs, () => resolve(false));
      void this.#allSettled().then(() => {
        cancel();
        resolve(true);
      });
    });
  }

  async #allSettled(): Promise<void> {
    while (this.#inHand.size > 0) await Promise.all([...this.#inHand.values()].map(({ settled }) => settled));
  }
}

function refuseMissingGuard(catalog: TaskCatalog, claims: ExecutionClaims): void {
  if (claims.guards || !catalog.requiresGuard) return;
  const types = catalog.definitions.filter(({ guard }) => guard === 'required').map(({ type }) => type);
  throw new DaybookError('configuration-invalid', `guard: 'required' of ${types.join(', ')} needs claims: configure them, or leave guard out`);
}

import { hasCode } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import type { LogRecord } from '../domain/log-record.ts';
import type { EventProducer } from '../event-producer/event-producer.ts';
import type { Clock } from '../ports/clock.ts';
import type { ClaimedExecution, StoredOutcome } from '../ports/execution-claims.ts';
import type { Ids } from '../ports/ids.ts';
import type { JobDelivery } from '../ports/job-receiver.ts';
import type { Logger } from '../ports/logger.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import { BreakOff } from './break-off.ts';
import type { ExecutionGuard } from './execution-guard.ts';
import { crashLoopEvent, outcomeEvent, refusedOutcomeEvent, startedEvent, unknownTypeEvent, type OutcomeDraft } from './execution-events.ts';
import { ExecutionContext } from './handler-context.ts';
import type { Lease, Leases } from './leases.ts';
import type { LogWriter } from './log-writer.ts';
import type { Pauses } from './pauses.ts';
import { runHandler, type FoundHandler } from './run-handler.ts';
import type { Slot, Slots } from './slots.ts';

export interface JobPipelineParts {
  readonly guard: ExecutionGuard;
  readonly leases: Leases;
  readonly writer: LogWriter;
  readonly slots: Slots;
  readonly pauses: Pauses;
  readonly producer: EventProducer;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly catalog: TaskCatalog;
  readonly workerId: string;
  readonly maxResultBytes: number;
  readonly maxPayloadBytes: number;
  readonly maxDepth: number;
}

/** An attempt with so many executions that never ended runs alone, so that it takes no innocent neighbour along. */
const deathsOfSuspect = 2;
/** With so many it is not run again. */
const deathsOfCrashLoop = 3;
/**
 * Where no claims count deaths: a job that came back so often runs alone. Orderly returns may be among them, so it
 * takes more than two, and ends nothing.
 */
const returnsOfSuspect = 10;
const longestDrawMs = 1_000;
const claimsPauseMs = 1_000;
const shortestHeldPauseMs = 50;
const brokenPauseMs = 1_000;

/** What became of a delivery for now. */
type Step =
  | { readonly type: 'settled' }
  | Again;

/** It stays unacknowledged, and starts over after a pause. */
interface Again {
  readonly type: 'again';
  readonly pauseMs: number;
  /** Its start is recorded: another try needs another execution id. */
  readonly started: boolean;
  /** The next try is to have the worker for itself. */
  readonly alone: boolean;
}

const settled: Step = { type: 'settled' };

interface Execution extends ClaimedExecution {
  readonly breakOff: BreakOff;
  /** Null: no claim guards it. */
  readonly lease: Lease | null;
}

/**
 * What happens to one job: receive → claim → append Started → run handler → store the outcome in the claim → append
 * the outcome → ack. Each arrow says what a crash there leaves behind.
 *
 * A slot is taken before the claim, so that only what really runs holds a claim and history calls nothing started
 * that waits; it is given back when the handler ends, so that recording keeps nobody from running.
 *
 * Expiry is not looked at here. A job exists because the dispatcher found its task unexpired right before publishing,
 * and the fold lets an attempt that was handed out run: it ends by its outcome, never by expiry.
 */
export class JobPipeline {
  readonly #parts: JobPipelineParts;
  readonly #running = new Set<BreakOff>();
  #draining = false;
  #aborting = false;
  #ending = false;

  constructor(parts: JobPipelineParts) {
    this.#parts = parts;
  }

  /** Nothing new starts, and what waits is given back. Handlers go on, and their outcomes are recorded. */
  drain(): void {
    this.#draining = true;
    this.#parts.slots.close();
    this.#parts.pauses.wake();
  }

  /** Asks the running handlers to end. What they return still counts; what they throw does not. */
  abortHandlers(): void {
    this.#aborting = true;
    for (const breakOff of this.#running) breakOff.abort('shutdown');
  }

  /** Waits for nothing any longer: claims are released and jobs given back, whatever their handlers do. */
  end(): void {
    this.#aborting = this.#ending = true;
    for (const breakOff of this.#running) breakOff.abandon('shutdown');
    this.#parts.pauses.wake();
  }

  /** Settles one delivery, or gives it back. Never rejects. */
  async process(delivery: JobDelivery): Promise<void> {
    const { ids, logger, pauses } = this.#parts;
    try {
      let executionId = ids.uuidv7();
      let alone = false;
      for (;;) {
        const step = await this.#advance(delivery, executionId, alone);
        if (step.type === 'settled') return;
        ({ alone } = step);
        if (step.started) executionId = ids.uuidv7();
        if (step.pauseMs > 0 && !this.#draining) await pauses.for(step.pauseMs);
      }
    } catch (error) {
      // A broken assumption, not an outage. The job comes again, not at once, so that a lasting fault does not spin.
      logger.error({ error, taskId: delivery.job.taskId, attempt: delivery.job.attempt }, 'a job could not be processed and is given back');
      if (!this.#draining) await pauses.for(brokenPauseMs);
      delivery.giveBack();
    }
  }

  async #advance(delivery: JobDelivery, executionId: string, alone: boolean): Promise<Step> {
    const { guard, leases, slots, clock, catalog, workerId } = this.#parts;
    const { taskId, attempt, type, typeVersion } = delivery.job;
    const found = catalog.findHandler(type, typeVersion);
    const slot = alone ? await slots.takeAll() : await slots.take();
    if (!slot) return this.#giveBack(delivery);
    try {
      // receive → claim: a crash here leaves an unacknowledged job and no other trace. It is delivered again.
      const askedMs = clock.monotonicMs();
      const claimed = { taskId, attempt, executionId };
      const answer = await guard.claim({ ...claimed, workerId, leaseMs: leases.leaseMs });
      switch (answer.type) {
        case 'held':
          return again({ pauseMs: Math.min(leases.leaseMs, Math.max(shortestHeldPauseMs, answer.remainingMs)) });
        case 'superseded':
          slot.giveBack();
          return await this.#ack(delivery);
        case 'finished':
          slot.giveBack();
          return await this.#recordAndAck(delivery, answer.outcome.record);
        case 'unreachable':
          // No queue counts the deliveries of a dead letter any more: only the claims know when it has killed enough.
          if (found?.definition.guard === 'required' || delivery.deadLetter) return again({ pauseMs: claimsPauseMs });
          return await this.#execute(delivery, found, slot, { ...claimed, breakOff: new BreakOff(), lease: null }, 0);
        case 'claimed': {
          if (!guard.guards && delivery.returns >= returnsOfSuspect && !alone) return again({ alone: true, pauseMs: drawnPauseMs(executionId) });
          if (answer.deaths === deathsOfSuspect && !alone) {
            // It must not hold the claim while it waits: when the worker dies meanwhile, that would be its third death.
            await guard.release(claimed);
            return again({ alone: true });
          }
          const breakOff = new BreakOff();
          const lease = guard.guards ? leases.hold(claimed, askedMs, () => breakOff.abort('lease-lost')) : null;
          return await this.#execute(delivery, found, slot, { ...claimed, breakOff, lease }, answer.deaths);
        }
        default:
          return answer satisfies never;
      }
    } finally {
      slot.giveBack();
    }
  }

  async #execute(delivery: JobDelivery, found: FoundHandler | null, slot: Slot, execution: Execution, deaths: number): Promise<Step> {
    try {
      if (this.#draining) return await this.#breakOff(delivery, execution);
      if (found && deaths < deathsOfCrashLoop) return await this.#run(delivery, found, slot, execution);
      slot.giveBack();
      const failure = deaths < deathsOfCrashLoop ? unknownTypeEvent(delivery.job) : crashLoopEvent(delivery.job, delivery.deadLetter);
      return await this.#finish(delivery, execution, failure, 'preferred');
    } finally {
      execution.lease?.end();
    }
  }

  async #run(delivery: JobDelivery, found: FoundHandler, slot: Slot, execution: Execution): Promise<Step> {
    const { writer, producer, clock, workerId, maxResultBytes, maxDepth, logger } = this.#parts;
    const { job, redelivered } = delivery;
    const { executionId, breakOff } = execution;
    const { guard, version: handlerVersion } = found.definition;

    // claim → append Started: a crash here leaves a claim that runs out. The next one counts it as a death although
    // nothing ran: the claims do not know about starts. Only a suspect, which runs alone, can come to harm by that.
    const guarded = execution.lease !== null;
    const started = producer.prepare(startedEvent(job, { executionId, workerId, handlerVersion, redelivered, guarded }));
    if (!(await writer.append(started.record, () => this.#draining))) return this.#breakOff(delivery, execution);

    // append Started → run handler: a crash here, or in the handler, leaves a start without an end. When the lease has
    // run out the attempt runs again under another execution id; history shows both starts.
    const ours = await this.#isStillOurs(execution, guard);
    if (this.#aborting || (this.#draining && !ours)) return this.#breakOff(delivery, execution);
    if (!ours) return again({ started: true });
    const run = new ExecutionContext(this.#contextParts(), job, executionId, breakOff);
    this.#running.add(breakOff);
    const { outcome, stillRunning } = await runHandler({ job, found, context: run.context, breakOff, clock, maxResultBytes, maxDepth });
    this.#running.delete(breakOff);
    slot.giveBack(stillRunning);
    const quiet = run.end(outcome !== null);
    if (stillRunning) {
      void stillRunning.then(() => {
        logger.warn({ taskId: job.taskId, attempt: job.attempt, executionId }, 'a handler ended long after it was told to: what it gave is dropped');
      });
    }
    if (!outcome) return this.#breakOff(delivery, execution);
    await quiet;
    return this.#finish(delivery, execution, outcomeEvent(job, executionId, workerId, outcome), guard);
  }

  async #finish(delivery: JobDelivery, execution: Execution, draft: OutcomeDraft, guard: 'required' | 'preferred'): Promise<Step> {
    const { eventId, record } = this.#parts.producer.prepare<'TaskExecutionCompleted' | 'TaskExecutionFailed'>(draft);
    const outcome = { completed: draft.type === 'TaskExecutionCompleted', eventId, record };

    // run handler → store the outcome: a crash here loses the outcome, not the attempt: it runs again as above, and
    // the effect may come twice. This is the gap that only ctx.idempotencyKey closes.
    const decided = execution.lease ? await this.#store(execution, outcome, guard) : outcome;
    if (decided === 'not-stored') return this.#breakOff(delivery, execution);
    execution.lease?.end();
    // Another execution holds the attempt, with a job of its own that stands unacknowledged until it ends.
    if (decided === 'superseded') return this.#ack(delivery);

    // store the outcome → append the outcome: a crash here leaves the record in the claim. The job is delivered
    // again, and whoever receives it appends that very record.
    return this.#recordAndAck(delivery, decided.record);
  }

  async #recordAndAck(delivery: JobDelivery, outcome: LogRecord): Promise<Step> {
    if (!(await this.#appendOutcome(delivery.job, outcome))) return this.#giveBack(delivery);

    // append the outcome → ack: a crash here delivers the job once more. Its claim has the outcome, which is appended
    // again; readers know the copy by its event id.
    return this.#ack(delivery);
  }

  /** False when the worker ended before the log had it. */
  async #appendOutcome(job: Job, outcome: LogRecord): Promise<boolean> {
    const { writer, producer, logger } = this.#parts;
    try {
      return await writer.append(outcome, () => this.#ending);
    } catch (error) {
      const instead = hasCode(error, 'log-rejected') ? refusedOutcomeEvent(job, outcome) : null;
      if (!instead) throw error;
      logger.warn({ error, taskId: job.taskId, attempt: job.attempt }, 'the log refused an outcome: it is recorded as a failure');
      return writer.append(producer.prepare(instead).record, () => this.#ending);
    }
  }

  /** The outcome that counts: this one, or one that was stored before it. */
  async #store(execution: Execution, outcome: StoredOutcome, guard: 'required' | 'preferred'): Promise<StoredOutcome | 'superseded' | 'not-stored'> {
    for (;;) {
      const answer = await this.#parts.guard.storeOutcome(execution, outcome);
      switch (answer.type) {
        case 'stored':
          return outcome;
        case 'other-outcome':
          return answer.outcome;
        case 'superseded':
          return 'superseded';
        case 'unreachable':
          // The log alone is the truth: without the claim a later delivery may run the attempt again, no more.
          if (guard === 'preferred') return outcome;
          if (this.#ending) return 'not-stored';
          await this.#parts.pauses.for(claimsPauseMs);
          break;
        default:
          return answer satisfies never;
      }
    }
  }

  /** Recording the start may have taken long: an execution older than half a lease asks before it runs. */
  async #isStillOurs({ lease }: Execution, guard: 'required' | 'preferred'): Promise<boolean> {
    while (lease && !lease.lost && lease.ageMs > this.#parts.leases.leaseMs / 2) {
      const answer = await lease.renew();
      if (typeof answer === 'boolean') return answer;
      if (guard === 'preferred') return true;
      if (this.#draining) return false;
      await this.#parts.pauses.for(claimsPauseMs);
    }
    return !lease?.lost;
  }

  /** The execution ends here without an outcome, in good order: that is no death, and the job is free at once. */
  async #breakOff(delivery: JobDelivery, { lease, taskId, attempt, executionId }: Execution): Promise<Step> {
    if (lease) {
      lease.end();
      // Before the job is given back, or the next worker would find the attempt held.
      await this.#parts.guard.release({ taskId, attempt, executionId });
    }
    return this.#giveBack(delivery);
  }

  #giveBack(delivery: JobDelivery): Step {
    delivery.giveBack();
    return settled;
  }

  async #ack(delivery: JobDelivery): Promise<Step> {
    const { taskId, attempt } = delivery.job;
    try {
      await delivery.ack();
    } catch (error) {
      if (!hasCode(error, 'stale-delivery') && !hasCode(error, 'queue-unavailable')) throw error;
      // The job may be delivered again; its claim then answers with the outcome.
      this.#parts.logger.info({ error, taskId, attempt }, 'a job that is done was not acknowledged');
    }
    return settled;
  }

  #contextParts() {
    const { producer, clock, logger, catalog, maxPayloadBytes, maxDepth } = this.#parts;
    return { producer, clock, logger, queues: catalog.queues, maxPayloadBytes, maxDepth };
  }
}

function again(next: Partial<Omit<Again, 'type'>>): Again {
  return { type: 'again', pauseMs: 0, started: false, alone: false, ...next };
}

/**
 * Jobs that came back together look alike, and their queue delivers them in the same order each time. So they draw
 * who goes first: about half of the others get done before the one that kills, each time it does.
 * @param executionId fresh, so that its end is random
 */
function drawnPauseMs(executionId: string): number {
  return Math.round((Number.parseInt(executionId.slice(-4), 16) / 0xffff) * longestDrawMs);
}

import { decide, defaultDispatchPolicy, type DispatchPolicy } from '../domain/dispatch-policy.ts';
import { hasCode } from '../domain/errors.ts';
import { decodeEvent } from '../domain/event-codec.ts';
import type { JsonValue } from '../domain/json.ts';
import type { Positions, StoredRecord } from '../domain/log-record.ts';
import type { EventProducer } from '../event-producer/event-producer.ts';
import { sleep, waitAtMost, type Clock } from '../ports/clock.ts';
import type { EventCursor, EventReader } from '../ports/event-reader.ts';
import type { JobSender } from '../ports/job-sender.ts';
import type { Logger } from '../ports/logger.ts';
import type { DependencyHealth, Service } from '../ports/service.ts';
import { draftOf, isDispatch, jobOf, payloadIn, type DispatchDecision, type RecordedDecision } from './decision-effects.ts';
import { DueTasks } from './due-tasks.ts';
import { Lane } from './lane.ts';
import { isSettled, OpenTasks, takesPlace, type OpenTask } from './open-tasks.ts';

export interface DispatcherSettings {
  /** Attempts handed out and without an outcome, at most, per queue. Default 1,000. */
  readonly window: number;
  /** After a publish of unknown outcome, how long to wait for a start before it is repeated. Default 5,000. */
  readonly repeatUnknownAfterMs: number;
  readonly policy: DispatchPolicy;
}

export const defaultDispatcherSettings: DispatcherSettings = {
  window: 1_000,
  repeatUnknownAfterMs: 5_000,
  policy: defaultDispatchPolicy,
};

export interface DispatcherParts {
  readonly reader: EventReader;
  readonly sender: JobSender;
  readonly producer: EventProducer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings?: Partial<DispatcherSettings>;
}

const recordsPerRead = 2_000;
/** Publishes and appends in flight. Decisions beyond that wait in memory, as ids of tasks to look at. */
const mostUnsettled = 4_000;
/** A timer runs at most this long and is armed again, so that no delay meets the limits of timers. */
const longestTimerMs = 3_600_000;
const lanePauseMs = 1_000;
const shortestRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * Reads the log, decides, acts, and records what it did.
 *
 * It first folds the log up to its end as of the takeover, without any effect; only at the live edge does it act.
 * Its memory is disposable: a restart folds the log again and comes to the same decisions, and whatever was done
 * twice has the same job id and the same event id, so workers and the fold make the second one harmless.
 */
export class Dispatcher implements Service {
  readonly name = 'dispatcher';
  readonly #reader: EventReader;
  readonly #sender: JobSender;
  readonly #producer: EventProducer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: DispatcherSettings;
  readonly #tasks = new OpenTasks();
  readonly #lanes = new Map<string, Lane>();
  readonly #due = new DueTasks<OpenTask>();
  readonly #toConsider = new Set<OpenTask>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #cursor: EventCursor | null = null;
  #running: Promise<void> = Promise.resolve();
  #live = false;
  #unsettled = 0;
  #logProblem: string | null = null;
  #queueProblem: string | null = null;
  #cancelTimer: () => void = () => {};

  constructor(parts: DispatcherParts) {
    this.#reader = parts.reader;
    this.#sender = parts.sender;
    this.#producer = parts.producer;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#settings = { ...defaultDispatcherSettings, ...parts.settings };
  }

  start(): Promise<void> {
    this.#running = this.#run();
    return Promise.resolve();
  }

  /** Stops acting at once, then waits for what is in flight to settle. What does not settle is done again later. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    this.#cancelTimer();
    this.#cursor?.close();
    await this.#running;
    await waitAtMost(this.#clock, deadlineMs, Promise.allSettled(this.#inFlight));
  }

  health(): readonly DependencyHealth[] {
    return [
      { name: 'log', ok: this.#live && this.#logProblem === null, detail: this.#logProblem ?? (this.#live ? 'at the live edge' : 'catching up') },
      { name: 'queue', ok: this.#queueProblem === null, detail: this.#queueProblem ?? 'confirming' },
    ];
  }

  /** For metrics: how much the dispatcher holds. */
  get gauges(): { readonly openTasks: number; readonly closedTasks: number; readonly outstanding: number; readonly unsettled: number } {
    const outstanding = [...this.#lanes.values()].reduce((sum, lane) => sum + lane.outstanding, 0);
    return { openTasks: this.#tasks.size, closedTasks: this.#tasks.closedCount, outstanding, unsettled: this.#unsettled };
  }

  async #run(): Promise<void> {
    const takeover = await this.#untilLogAnswers(() => this.#reader.endPositions());
    if (!takeover) return;
    this.#cursor = this.#reader.openCursor(new Map());
    await this.#catchUp(this.#cursor, takeover);
    this.#live = !this.#stopping.signal.aborted;
    for (const task of this.#tasks.values()) this.#toConsider.add(task);
    await this.#actAtLiveEdge(this.#cursor);
  }

  /** Folds history up to the takeover. No effect of any kind: replay does nothing but rebuild. */
  async #catchUp(cursor: EventCursor, takeover: Positions): Promise<void> {
    const behind = () => [...takeover].some(([partition, end]) => (cursor.positions().get(partition) ?? 0) < end);
    while (behind() && !this.#stopping.signal.aborted) {
      for (const record of await this.#read(cursor, 1_000)) this.#fold(record);
    }
    this.#logger.info({ openTasks: this.#tasks.size, closedTasks: this.#tasks.closedCount }, 'caught up with the log');
  }

  async #actAtLiveEdge(cursor: EventCursor): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#considerTasks();
      this.#armTimer();
      const more = this.#toConsider.size > 0 && this.#unsettled < mostUnsettled;
      for (const record of await this.#read(cursor, more ? 0 : longestTimerMs)) {
        const task = this.#fold(record);
        if (task) this.#toConsider.add(task);
      }
      for (const task of this.#due.takeDue(this.#clock.nowMs())) this.#toConsider.add(task);
    }
  }

  async #read(cursor: EventCursor, waitMs: number): Promise<readonly StoredRecord[]> {
    try {
      const records = await cursor.next({ maxRecords: recordsPerRead, waitMs });
      this.#logProblem = null;
      return records;
    } catch (error) {
      if (hasCode(error, 'stopped')) return [];
      this.#noteLogProblem(error);
      await sleep(this.#clock, lanePauseMs, this.#stopping.signal);
      return [];
    }
  }

  #fold(record: StoredRecord): OpenTask | null {
    const task = this.#tasks.fold(record, decodeEvent(record));
    if (!task) return null;
    return this.#closeIfOver(task) ? null : task;
  }

  #considerTasks(): void {
    for (const task of this.#toConsider) {
      if (this.#unsettled >= mostUnsettled) return;
      this.#toConsider.delete(task);
      this.#consider(task);
    }
    for (const lane of this.#lanes.values()) this.#fillWindow(lane);
  }

  /** Asks for a decision, unless an own publish or append for the task is unsettled or was not read back yet. */
  #consider(task: OpenTask): void {
    if (!isSettled(task)) return;
    for (const decision of decide(task.state, this.#settings.policy, this.#clock.nowMs())) {
      switch (decision.type) {
        case 'Dispatch':
          this.#laneOf(decision.queue).offer(task);
          break;
        case 'WakeAt':
          this.#due.set(task, decision.timeMs);
          break;
        case 'RecordDispatch':
        case 'ScheduleRetry':
        case 'FailPermanently':
        case 'Cancel':
          this.#begin(task);
          this.#track(this.#settle(task, this.#record(task, decision)));
          break;
        default:
          decision satisfies never;
      }
    }
  }

  /** Publishes ready tasks while the window has room. Each is decided anew: it may have been cancelled meanwhile. */
  #fillWindow(lane: Lane): void {
    if (this.#stopping.signal.aborted || this.#clock.monotonicMs() < lane.pausedUntilMs) return;
    const batch: Array<{ readonly task: OpenTask; readonly decision: DispatchDecision }> = [];
    while (lane.outstanding < this.#settings.window && this.#unsettled < mostUnsettled) {
      const task = lane.take();
      if (!task) break;
      const decision = this.#dispatchOf(task);
      if (!decision) continue;
      this.#begin(task);
      task.publishing = true;
      this.#countPlace(task);
      batch.push({ task, decision });
    }
    if (batch.length > 0) this.#track(this.#dispatchBatch(lane, batch));
  }

  #dispatchOf(task: OpenTask): DispatchDecision | null {
    if (!isSettled(task)) return null;
    if (task.heldUntilMs > this.#clock.monotonicMs()) {
      this.#due.set(task, this.#clock.nowMs() + (task.heldUntilMs - this.#clock.monotonicMs()));
      return null;
    }
    const decision = decide(task.state, this.#settings.policy, this.#clock.nowMs()).find(isDispatch);
    if (!decision) this.#toConsider.add(task);
    return decision ?? null;
  }

  async #dispatchBatch(lane: Lane, batch: ReadonlyArray<{ readonly task: OpenTask; readonly decision: DispatchDecision }>): Promise<void> {
    const payloads = await this.#payloadsOf(batch.map(({ task }) => task));
    const actions = batch.map(({ task, decision }, index) => {
      const payload = payloads?.[index];
      return this.#settle(task, payload === undefined ? this.#holdBack(lane, task) : this.#dispatch(lane, task, decision, payload));
    });
    await Promise.all(actions);
  }

  /** Payloads are read at the offsets of `TaskAccepted`, where they are not in memory. Null: the log is away. */
  async #payloadsOf(tasks: readonly OpenTask[]): Promise<ReadonlyArray<JsonValue | undefined> | null> {
    const missing = tasks.filter(({ payload }) => payload === undefined);
    if (missing.length === 0) return tasks.map(({ payload }) => payload);
    try {
      const records = await this.#reader.readAt(missing.map(({ partition, acceptedOffset }) => ({ partition, offset: acceptedOffset })));
      const read = new Map(missing.map((task, index) => [task, payloadIn(records[index])]));
      return tasks.map((task) => (task.payload === undefined ? read.get(task) : task.payload));
    } catch (error) {
      this.#noteLogProblem(error);
      return null;
    }
  }

  /**
   * publish → confirm → record. A crash before the confirm: the attempt is published again, with the same job id.
   * A crash between confirm and record: the same, or, when a worker was faster, the missing record is appended.
   */
  async #dispatch(lane: Lane, task: OpenTask, decision: DispatchDecision, payload: JsonValue): Promise<void> {
    const outcome = await this.#sender.send(jobOf(task, decision, payload));
    switch (outcome.type) {
      case 'confirmed':
        this.#queueProblem = null;
        this.#tasks.dropPayload(task);
        return this.#record(task, decision);
      case 'unknown':
        this.#queueProblem = outcome.detail;
        task.heldUntilMs = this.#clock.monotonicMs() + this.#settings.repeatUnknownAfterMs;
        return this.#holdBack(lane, task);
      case 'refused':
      case 'not-sent':
        this.#queueProblem = outcome.detail;
        this.#logger.warn({ taskId: task.taskId, queue: decision.queue, outcome: outcome.type }, `job not dispatched: ${outcome.detail}`);
        return this.#holdBack(lane, task);
      default:
        return outcome satisfies never;
    }
  }

  /** Nothing was handed out: looks at the task again after a pause of its lane. */
  #holdBack(lane: Lane, task: OpenTask): Promise<void> {
    lane.pausedUntilMs = this.#clock.monotonicMs() + lanePauseMs;
    this.#due.set(task, this.#clock.nowMs() + lanePauseMs);
    return Promise.resolve();
  }

  /** Appends the event of a decision, again and again until the log has it: the same id and value each time. */
  async #record(task: OpenTask, decision: RecordedDecision): Promise<void> {
    const { record } = this.#producer.prepare(draftOf(task, decision));
    for (let delayMs = shortestRetryMs; !this.#stopping.signal.aborted; delayMs = Math.min(2 * delayMs, longestRetryMs)) {
      try {
        const { offset } = await this.#producer.append(record);
        task.writtenOffset = Math.max(task.writtenOffset, offset);
        return;
      } catch (error) {
        this.#noteLogProblem(error);
        await sleep(this.#clock, delayMs, this.#stopping.signal);
      }
    }
  }

  #begin(task: OpenTask): void {
    task.unsettled++;
    this.#unsettled++;
  }

  async #settle(task: OpenTask, action: Promise<void>): Promise<void> {
    await action;
    task.unsettled--;
    this.#unsettled--;
    if (!this.#closeIfOver(task)) this.#toConsider.add(task);
    this.#cursor?.wake();
  }

  /** Remembers an action until it settles, for an orderly stop. A broken assumption in it ends the process. */
  #track(action: Promise<void>): void {
    this.#inFlight.add(action);
    void action.then(() => this.#inFlight.delete(action));
  }

  #closeIfOver(task: OpenTask): boolean {
    if (isSettled(task)) task.publishing = false;
    this.#countPlace(task);
    if (task.outstanding || !this.#tasks.closeIfOver(task)) return false;
    this.#due.delete(task);
    this.#toConsider.delete(task);
    return true;
  }

  /** Keeps the window's count in step with the task, whatever happened to it. */
  #countPlace(task: OpenTask): void {
    const { accepted } = task.state;
    const outstanding = takesPlace(task);
    if (!accepted || outstanding === task.outstanding) return;
    this.#laneOf(accepted.queue).outstanding += outstanding ? 1 : -1;
    task.outstanding = outstanding;
  }

  #laneOf(queue: string): Lane {
    const lane = this.#lanes.get(queue) ?? new Lane();
    this.#lanes.set(queue, lane);
    return lane;
  }

  #armTimer(): void {
    this.#cancelTimer();
    const delays = [...this.#lanes.values()]
      .filter((lane) => lane.waiting > 0)
      .map((lane) => lane.pausedUntilMs - this.#clock.monotonicMs())
      .filter((delayMs) => delayMs > 0);
    if (this.#due.nextDueMs !== null) delays.push(this.#due.nextDueMs - this.#clock.nowMs());
    if (delays.length === 0) return;
    const delayMs = Math.min(Math.max(0, Math.min(...delays)), longestTimerMs);
    this.#cancelTimer = this.#clock.setTimer(delayMs, () => this.#cursor?.wake());
  }

  async #untilLogAnswers<Answer>(ask: () => Promise<Answer>): Promise<Answer | null> {
    while (!this.#stopping.signal.aborted) {
      try {
        return await ask();
      } catch (error) {
        this.#noteLogProblem(error);
        await sleep(this.#clock, lanePauseMs, this.#stopping.signal);
      }
    }
    return null;
  }

  #noteLogProblem(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    if (this.#logProblem !== detail) this.#logger.warn({ error: detail }, 'the log does not answer; trying again');
    this.#logProblem = detail;
  }
}

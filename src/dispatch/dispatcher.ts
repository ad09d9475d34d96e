import { decide, defaultDispatchPolicy, type Decision, type DispatchPolicy, type PresumedLost } from '../domain/dispatch-policy.ts';
import { hasCode, messageOf } from '../domain/errors.ts';
import { decodeEvent } from '../domain/event-codec.ts';
import type { JsonValue } from '../domain/json.ts';
import type { Positions, StoredRecord } from '../domain/log-record.ts';
import type { TaskEventData } from '../domain/task-events.ts';
import type { EventProducer } from '../event-producer/event-producer.ts';
import { sleep, waitAtMost, type Clock } from '../ports/clock.ts';
import type { EventCursor, EventReader } from '../ports/event-reader.ts';
import type { JobSender } from '../ports/job-sender.ts';
import type { Logger } from '../ports/logger.ts';
import type { PartitionOwnership } from '../ports/partition-ownership.ts';
import type { PresenceReader } from '../ports/presence-reader.ts';
import type { QueueInspection } from '../ports/queue-inspection.ts';
import type { DependencyHealth, Service } from '../ports/service.ts';
import type { SnapshotStore } from '../ports/snapshot-store.ts';
import { acceptanceIn, draftOf, isDispatch, jobOf, type DispatchDecision, type RecordedDecision } from './decision-effects.ts';
import { DueTasks } from './due-tasks.ts';
import { Lane } from './lane.ts';
import type { LostJob } from './lost-jobs.ts';
import { LostJobSweep } from './lost-job-sweep.ts';
import { isSettled, noteTrace, OpenTasks, takesPlace, type OpenTask } from './open-tasks.ts';
import { defaultSnapshotSettings, Snapshots, type SnapshotSettings } from './snapshots.ts';

export interface DispatcherSettings {
  /** Attempts handed out and without an outcome, at most, per queue. Default 1,000. */
  readonly window: number;
  /**
   * After a publish of unknown outcome, how long to wait for a start before it is repeated; and how often, and after
   * how much silence at the earliest, lost jobs are looked for. Default 5,000.
   */
  readonly sweepMs: number;
  /** A worker that was not heard for that long is gone. Default 15,000. */
  readonly presenceMs: number;
  readonly policy: DispatchPolicy;
  readonly snapshots: SnapshotSettings;
}

export const defaultDispatcherSettings: DispatcherSettings = {
  window: 1_000,
  sweepMs: 5_000,
  presenceMs: 15_000,
  policy: defaultDispatchPolicy,
  snapshots: defaultSnapshotSettings,
};

export interface DispatcherParts {
  readonly reader: EventReader;
  readonly ownership: PartitionOwnership;
  readonly sender: JobSender;
  readonly inspection: QueueInspection;
  readonly presence: PresenceReader;
  readonly producer: EventProducer;
  /** Default: none, and every takeover folds the log from its beginning. */
  readonly snapshotStore?: SnapshotStore | undefined;
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
/** The log counts as back when nothing failed for so long, which is longer than the pause before it is read again. */
const quietMs = 2_000;
const shortestRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * Reads the log, decides, acts, and records what it did, for the partitions that it holds.
 *
 * Of each partition it first folds the log, from its snapshot on, up to its end as of the takeover, without any
 * effect; only at the live edge does it act. A partition that is taken away is forgotten at once.
 * Its memory is disposable: a restart comes to the same decisions, from the snapshot or without it, and whatever was
 * done twice has the same job id and the same event id, so workers and the fold make the second one harmless.
 */
export class Dispatcher implements Service {
  readonly name = 'dispatcher';
  readonly #reader: EventReader;
  readonly #ownership: PartitionOwnership;
  readonly #sender: JobSender;
  readonly #producer: EventProducer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: DispatcherSettings;
  readonly #lostJobs: LostJobSweep;
  readonly #tasks = new OpenTasks();
  readonly #snapshots: Snapshots;
  readonly #lanes = new Map<string, Lane>();
  readonly #due = new DueTasks<OpenTask>();
  readonly #toConsider = new Set<OpenTask>();
  readonly #inFlight = new Set<Promise<void>>();
  /** The tasks that take a place in the window of their lane: publishing, or handed out and without an outcome. */
  readonly #outstanding = new Set<OpenTask>();
  readonly #stopping = new AbortController();
  /** What the ownership said last; `#held` follows it between two batches. */
  #granted: ReadonlySet<number> = new Set();
  #held: ReadonlySet<number> = new Set();
  /** Held partitions that are not read up to their end as of the takeover: until then nothing of them is acted on. */
  readonly #catchingUp = new Map<number, number>();
  #cursor: EventCursor | null = null;
  /** The log that everything in memory belongs to, from the first takeover on. */
  #logIdentity: string | null = null;
  /** What the cursor said: records that this process has folded are not there any more. */
  #historyLost: string | null = null;
  #running: Promise<void> = Promise.resolve();
  #unsettled = 0;
  #logProblem: string | null = null;
  /** How often the log failed so far. */
  #logProblems = 0;
  #queueProblem: string | null = null;
  #cancelTimer: () => void = () => {};

  constructor(parts: DispatcherParts) {
    this.#reader = parts.reader;
    this.#ownership = parts.ownership;
    this.#sender = parts.sender;
    this.#producer = parts.producer;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#settings = { ...defaultDispatcherSettings, ...parts.settings };
    this.#lostJobs = new LostJobSweep({ ...parts, settings: this.#settings });
    this.#snapshots = new Snapshots({
      store: parts.snapshotStore ?? null,
      tasks: this.#tasks,
      clock: parts.clock,
      logger: parts.logger,
      settings: this.#settings.snapshots,
      onWritten: () => this.#cursor?.wake(),
    });
  }

  start(): Promise<void> {
    this.#ownership.start((held) => {
      this.#granted = held;
      this.#cursor?.wake();
    });
    this.#lostJobs.start(() => this.#outstanding, (jobs) => this.#presumeLost(jobs));
    this.#running = this.#run();
    return Promise.resolve();
  }

  /**
   * Stops acting at once, then waits for what is in flight to settle and writes snapshots. What does not settle is done
   * again later, and what is not written is read again.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    this.#cancelTimer();
    this.#cursor?.close();
    await Promise.all([this.#running, this.#lostJobs.stop()]);
    const positions = this.#cursor?.positions() ?? new Map<number, number>();
    const written = this.#snapshots.writeAll(positions, this.#catchingUp);
    await waitAtMost(this.#clock, deadlineMs, Promise.allSettled([...this.#inFlight, written]));
    await this.#ownership.stop();
  }

  health(): readonly DependencyHealth[] {
    const behind = this.#catchingUp.size;
    const problem = this.#lost ?? this.#logProblem;
    const position = behind > 0 ? `catching up on ${behind} of ${this.#held.size} partitions` : `at the live edge of ${this.#held.size} partitions`;
    return [
      { name: 'log', ok: behind === 0 && this.#cursor !== null && problem === null, detail: problem ?? position },
      { name: 'queue', ok: this.#queueProblem === null, detail: this.#queueProblem ?? 'confirming' },
      this.#ownership.health(),
    ];
  }

  /** Why nothing is done any more; null while all is well. */
  get #lost(): string | null {
    return this.#historyLost ?? this.#snapshots.historyLost?.message ?? null;
  }

  /** For metrics: how much the dispatcher holds. */
  get gauges(): { readonly openTasks: number; readonly closedTasks: number; readonly outstanding: number; readonly unsettled: number } {
    return { openTasks: this.#tasks.size, closedTasks: this.#tasks.closedCount, outstanding: this.#outstanding.size, unsettled: this.#unsettled };
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      if (this.#granted !== this.#held || !this.#cursor) {
        await this.#takeOver(this.#granted);
        // What is granted may have changed meanwhile, and whoever said so had no cursor of now to wake.
        continue;
      }
      this.#considerTasks();
      this.#armTimer();
      const more = this.#toConsider.size > 0 && this.#unsettled < mostUnsettled;
      for (const record of await this.#read(this.#cursor, more ? 0 : longestTimerMs)) {
        const task = this.#fold(record);
        if (task) this.#toConsider.add(task);
      }
      this.#noteLiveEdge(this.#cursor);
      this.#snapshots.writeDue(this.#cursor.positions(), this.#catchingUp);
      for (const task of this.#due.takeDue(this.#clock.nowMs())) this.#toConsider.add(task);
    }
  }

  /** Forgets what is held no more, and begins to read what is new from its snapshot; the rest goes on where it was. */
  async #takeOver(granted: ReadonlySet<number>): Promise<void> {
    const kept = new Set([...this.#held].filter((partition) => granted.has(partition)));
    for (const partition of this.#held) if (!kept.has(partition)) this.#letGo(partition);
    this.#held = kept;
    const added = [...granted].filter((partition) => !kept.has(partition));
    const start = await this.#askLog(() => this.#restore(added));
    if (!start) return;
    const positions = [...(this.#cursor?.positions() ?? [])].filter(([partition]) => kept.has(partition));
    for (const partition of added) this.#catchingUp.set(partition, start.end.get(partition) ?? 0);
    this.#cursor?.close();
    this.#cursor = this.#reader.openCursor(new Map([...positions, ...start.restored]), granted);
    this.#held = granted;
    this.#logger.info({ partitions: [...granted], restored: Object.fromEntries(start.restored) }, 'partitions are taken over');
    this.#noteLiveEdge(this.#cursor);
  }

  async #restore(partitions: readonly number[]): Promise<{ readonly end: Positions; readonly restored: Positions }> {
    // Asked once: a log that was made anew under this process must not pass for the one that it has folded.
    this.#logIdentity ??= await this.#reader.identity();
    const end = await this.#reader.endPositions();
    return { end, restored: await this.#snapshots.restore(partitions, this.#logIdentity, end) };
  }

  #letGo(partition: number): void {
    this.#catchingUp.delete(partition);
    this.#snapshots.forget(partition);
    for (const task of this.#tasks.drop(partition)) {
      task.publishing = false;
      this.#toConsider.delete(task);
      this.#due.delete(task);
      this.#countPlace(task);
    }
  }

  /** A partition that is read up to its end as of the takeover may be acted on: every task of it is looked at. */
  #noteLiveEdge(cursor: EventCursor): void {
    if (this.#catchingUp.size === 0) return;
    const positions = cursor.positions();
    for (const [partition, end] of this.#catchingUp) {
      if ((positions.get(partition) ?? 0) < end) continue;
      this.#catchingUp.delete(partition);
      for (const task of this.#tasks.of(partition)) {
        // Of a task that came from the snapshot no record was read, by which it would have been counted.
        this.#countPlace(task);
        this.#toConsider.add(task);
      }
      this.#logger.info({ partition, openTasks: this.#tasks.size, closedTasks: this.#tasks.closedCount }, 'caught up with the log');
    }
  }

  async #read(cursor: EventCursor, waitMs: number): Promise<readonly StoredRecord[]> {
    try {
      return await cursor.next({ maxRecords: recordsPerRead, waitMs });
    } catch (error) {
      if (hasCode(error, 'stopped')) return [];
      // For good: the cursor would say so again, and what is in memory follows from records that are gone.
      if (hasCode(error, 'history-lost')) this.#historyLost = error.message;
      this.#noteLogProblem(error);
      await sleep(this.#clock, lanePauseMs, this.#stopping.signal);
      return [];
    }
  }

  #fold(record: StoredRecord): OpenTask | null {
    const event = decodeEvent(record);
    const task = this.#tasks.fold(record, event);
    if (!task) return null;
    if (event.type === 'TaskExecutionStarted') this.#noteStart(task, event.data);
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
    if (!isSettled(task) || !this.#mayAct(task)) return;
    for (const decision of this.#decide(task)) {
      switch (decision.type) {
        case 'Dispatch':
          this.#laneOf(decision.queue).offer(task);
          break;
        case 'Reissue':
          this.#laneOf(decision.queue).offerAgain(task);
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

  #decide(task: OpenTask): readonly Decision[] {
    return decide(task.state, this.#settings.policy, this.#clock.nowMs(), task.lost);
  }

  #noteStart({ state }: OpenTask, { attempt: number, issue }: TaskEventData['TaskExecutionStarted']): void {
    const attempt = state.attempts[number - 1];
    if (attempt) this.#lostJobs.started({ attempt, issue });
  }

  #presumeLost(jobs: readonly LostJob[]): void {
    const fresh = jobs.filter(({ task, ...job }) => tellsMore(job, task.lost));
    if (fresh.length === 0) return;
    const queueLost = fresh.filter(({ reason }) => reason === 'queue lost').length;
    this.#logger.warn({ jobs: fresh.length, queueLost }, "jobs are in nobody's hands: they are presumed lost, and issued again");
    for (const { task, attempt, issue, reason } of fresh) {
      task.lost = { attempt, issue, reason };
      this.#toConsider.add(task);
    }
    this.#cursor?.wake();
  }

  /** Publishes ready tasks while the window has room. Each is decided anew: it may have been cancelled meanwhile. */
  #fillWindow(lane: Lane): void {
    if (this.#stopping.signal.aborted || this.#clock.monotonicMs() < lane.pausedUntilMs) return;
    const batch: Array<{ readonly task: OpenTask; readonly decision: DispatchDecision }> = [];
    while (this.#unsettled < mostUnsettled) {
      const task = lane.take(this.#settings.window);
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

  /** At the live edge of a partition that is surely ours. A hold that is in doubt is looked at again a little later. */
  #mayAct(task: OpenTask): boolean {
    if (task.dropped || this.#catchingUp.has(task.partition) || this.#lost !== null) return false;
    if (this.#ownership.holds(task.partition)) return true;
    this.#due.set(task, this.#clock.nowMs() + lanePauseMs);
    return false;
  }

  #dispatchOf(task: OpenTask): DispatchDecision | null {
    if (!isSettled(task) || !this.#mayAct(task)) return null;
    if (task.heldUntilMs > this.#clock.monotonicMs()) {
      this.#due.set(task, this.#clock.nowMs() + (task.heldUntilMs - this.#clock.monotonicMs()));
      return null;
    }
    const decision = this.#decide(task).find(isDispatch);
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
      const read = new Map(missing.map((task, index) => [task, acceptanceIn(records[index])]));
      for (const [task, acceptance] of read) if (acceptance) noteTrace(task, acceptance);
      return tasks.map((task) => (task.payload === undefined ? read.get(task)?.data.payload : task.payload));
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
        task.heldUntilMs = this.#clock.monotonicMs() + this.#settings.sweepMs;
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
    for (let delayMs = shortestRetryMs; !this.#stopping.signal.aborted && !task.dropped; delayMs = Math.min(2 * delayMs, longestRetryMs)) {
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
    if (!task.dropped && !this.#closeIfOver(task)) this.#toConsider.add(task);
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
    if (this.#outstanding.has(task) || !this.#tasks.closeIfOver(task)) return false;
    this.#due.delete(task);
    this.#toConsider.delete(task);
    return true;
  }

  /** Keeps the window's count in step with the task, whatever happened to it. */
  #countPlace(task: OpenTask): void {
    const { accepted } = task.state;
    const outstanding = !task.dropped && takesPlace(task);
    if (!accepted || outstanding === this.#outstanding.has(task)) return;
    this.#laneOf(accepted.queue).outstanding += outstanding ? 1 : -1;
    if (outstanding) this.#outstanding.add(task);
    else this.#outstanding.delete(task);
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
    const snapshotInMs = this.#snapshots.nextDueInMs(this.#cursor?.positions() ?? new Map(), this.#catchingUp);
    if (snapshotInMs !== null) delays.push(snapshotInMs);
    if (delays.length === 0) return;
    const delayMs = Math.min(Math.max(0, Math.min(...delays)), longestTimerMs);
    this.#cancelTimer = this.#clock.setTimer(delayMs, () => this.#cursor?.wake());
  }

  /** Null, after a pause, when the log does not answer. */
  async #askLog<Answer>(ask: () => Promise<Answer>): Promise<Answer | null> {
    try {
      return await ask();
    } catch (error) {
      this.#noteLogProblem(error);
      await sleep(this.#clock, lanePauseMs, this.#stopping.signal);
      return null;
    }
  }

  #noteLogProblem(error: unknown): void {
    const detail = messageOf(error);
    if (this.#logProblem !== detail) this.#logger.warn({ error: detail }, 'the log does not answer; trying again');
    if (this.#logProblem === null) void this.#awaitLog();
    this.#logProblem = detail;
    this.#logProblems++;
  }

  /** Until nothing has failed for a while and the log answers: where nothing is new, reading does not tell that it is back. */
  async #awaitLog(): Promise<void> {
    let before: number;
    do {
      before = this.#logProblems;
      await sleep(this.#clock, quietMs, this.#stopping.signal);
    } while (!this.#stopping.signal.aborted && (this.#logProblems > before || !(await this.#logAnswers())));
    this.#logProblem = null;
  }

  #logAnswers(): Promise<boolean> {
    return this.#reader.endPositions().then(
      () => true,
      () => false,
    );
  }
}

/** A queue that is found gone while the next issue could not be sent yet changes why that one is sent. */
function tellsMore(job: PresumedLost, known: PresumedLost | null): boolean {
  if (known?.attempt !== job.attempt || known.issue !== job.issue) return true;
  return known.reason === 'presumed lost' && job.reason === 'queue lost';
}

import { onTestFinished } from 'vitest';
import { EmbeddedEventAppender } from '../../src/adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../src/adapters/embedded/embedded-event-reader.ts';
import { EmbeddedExecutionClaims } from '../../src/adapters/embedded/embedded-execution-claims.ts';
import { EmbeddedJobReceiver } from '../../src/adapters/embedded/embedded-job-receiver.ts';
import { EmbeddedJobSender } from '../../src/adapters/embedded/embedded-job-sender.ts';
import { EmbeddedJobs } from '../../src/adapters/embedded/embedded-jobs.ts';
import { EmbeddedPresence } from '../../src/adapters/embedded/embedded-presence.ts';
import { openEmbeddedStore } from '../../src/adapters/embedded/embedded-store.ts';
import { SystemIds } from '../../src/adapters/system/system-ids.ts';
import { DaybookError } from '../../src/domain/errors.ts';
import { decodeEvent } from '../../src/domain/event-codec.ts';
import type { Job } from '../../src/domain/job.ts';
import type { LogRecord, StoredRecord } from '../../src/domain/log-record.ts';
import type { DecodedRecord, TaskEventOf, TaskEventType } from '../../src/domain/task-events.ts';
import { EventProducer } from '../../src/event-producer/event-producer.ts';
import type { AppendedRecord, EventAppender } from '../../src/ports/event-appender.ts';
import type {
  ClaimAnswer, ClaimedExecution, ClaimRequest, ExecutionClaims, StoreAnswer, StoredOutcome,
} from '../../src/ports/execution-claims.ts';
import type { JobConsumer, JobDelivery, JobReceiver } from '../../src/ports/job-receiver.ts';
import type { LogFields, Logger } from '../../src/ports/logger.ts';
import type { Heartbeat } from '../../src/domain/heartbeat.ts';
import type { PresenceWriter } from '../../src/ports/presence-writer.ts';
import { TaskCatalog, type CatalogEntry } from '../../src/task-definition/task-catalog.ts';
import { Worker, type WorkerSettings } from '../../src/worker/worker.ts';
import { eventually } from './eventually.ts';
import { ManualClock } from './manual-clock.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface RigOptions {
  readonly maxRecordBytes?: number;
}

/** Log, queue and claims in a folder of their own, a clock that stands still, and as many workers as a test starts. */
export class WorkerRig {
  readonly clock = new ManualClock();
  readonly ids = new SystemIds(this.clock);
  readonly logger = new CollectingLogger();
  /** What the workers did to the outside, in the order in which it took effect. */
  readonly effects: string[] = [];
  /** While set, acknowledgements fail with it; the queue keeps the job. */
  ackFailure: 'queue-unavailable' | 'stale-delivery' | null = null;
  /** By task: how often the queue says that it took the job back, where a test wants it to. */
  readonly returns = new Map<string, number>();
  /** While set, acknowledgements wait for it first. */
  ackHold: Promise<void> | null = null;
  readonly appender: FaultyAppender;
  readonly claims: FaultyClaims;
  readonly presence = new FaultyPresence();
  readonly reader: EmbeddedEventReader;
  readonly #receiver: JobReceiver;
  readonly #sender: EmbeddedJobSender;

  constructor(options: RigOptions = {}) {
    const store = openEmbeddedStore({ folder: temporaryFolder(), clock: this.clock });
    onTestFinished(async () => {
      this.reader.close();
      await store.close();
    });
    const jobs = new EmbeddedJobs(store);
    this.appender = new FaultyAppender(new EmbeddedEventAppender(store, options), this.effects);
    this.claims = new FaultyClaims(new EmbeddedExecutionClaims(store), this.effects);
    this.reader = new EmbeddedEventReader(store);
    this.#receiver = new WatchedReceiver(new EmbeddedJobReceiver(jobs), this);
    this.#sender = new EmbeddedJobSender(jobs);
  }

  /** @param claims other than the rig's own, to make one worker alone lose sight of them */
  async startWorker(entries: readonly CatalogEntry[], settings: Partial<WorkerSettings> = {}, claims: ExecutionClaims = this.claims): Promise<Worker> {
    const worker = this.worker(entries, settings, claims);
    await worker.start();
    return worker;
  }

  worker(entries: readonly CatalogEntry[], settings: Partial<WorkerSettings> = {}, claims: ExecutionClaims = this.claims): Worker {
    const { clock, ids, logger } = this;
    const workerId = settings.workerId ?? 'worker-1';
    const worker = new Worker({
      receiver: this.#receiver,
      claims,
      producer: new EventProducer(this.appender, clock, `/daybook/worker/${workerId}`),
      presence: this.presence,
      clock,
      ids,
      logger,
      catalog: new TaskCatalog(entries),
      settings: { queues: ['default'], ...settings, workerId },
    });
    onTestFinished(() => this.stopWorker(worker));
    return worker;
  }

  /** Stops a worker whatever it is doing, moving the clock past every deadline of the drain. */
  async stopWorker(worker: Worker, deadlineMs = 0): Promise<void> {
    let stopped = false;
    const stopping = worker.stop(deadlineMs).finally(() => (stopped = true));
    await eventually(() => {
      if (!stopped) this.clock.advance(250);
      return stopped;
    });
    await stopping;
  }

  async send(job: Partial<Job> = {}): Promise<Job> {
    const whole: Job = {
      taskId: 'task-1', attempt: 1, issue: 1, queue: 'default', type: 'demo', typeVersion: 1, payload: {}, timeoutMs: 30_000, expiresAtMs: null,
      ...job,
    };
    const outcome = await this.#sender.send(whole);
    if (outcome.type !== 'confirmed') throw new Error(`the job was not taken: ${outcome.detail}`);
    return whole;
  }

  /** Claims an attempt as a worker does that is then killed. */
  claimAndDie(taskId: string, executionId: string, attempt = 1): Promise<ClaimAnswer> {
    return this.claims.inner.claim({ taskId, attempt, executionId, workerId: 'killed', leaseMs: 10_000 });
  }

  async records(taskId = 'task-1'): Promise<StoredRecord[]> {
    const cursor = this.reader.openCursor(new Map());
    try {
      const all = await cursor.next({ maxRecords: 10_000, waitMs: 0 });
      return all.filter(({ key }) => key === taskId);
    } finally {
      cursor.close();
    }
  }

  async events(taskId = 'task-1'): Promise<DecodedRecord[]> {
    return (await this.records(taskId)).map((record) => decodeEvent(record));
  }

  async eventsOf<Type extends TaskEventType>(type: Type, taskId = 'task-1'): Promise<TaskEventOf<Type>[]> {
    return (await this.events(taskId)).filter((event): event is Extract<DecodedRecord, TaskEventOf<Type>> => event.type === type);
  }

  async types(taskId = 'task-1'): Promise<string[]> {
    return (await this.events(taskId)).map(({ type }) => type);
  }

  /** Waits until the task's history has exactly these events. */
  async untilHistoryIs(types: readonly string[], taskId = 'task-1'): Promise<void> {
    await eventually(async () => (await this.types(taskId)).join() === types.join() || Promise.reject(new Error((await this.types(taskId)).join())));
  }

  count(effect: string): number {
    return this.effects.filter((found) => found === effect).length;
  }
}

/** The real appender; fails on demand. */
export class FaultyAppender implements EventAppender {
  readonly topic: string;
  /** While true, nothing is stored and every call fails as the port says. */
  down = false;
  /** While set, every call waits for it first. */
  hold: Promise<void> | null = null;
  attempts = 0;
  readonly #inner: EventAppender;
  readonly #effects: string[];

  constructor(inner: EventAppender, effects: string[]) {
    this.topic = inner.topic;
    this.#inner = inner;
    this.#effects = effects;
  }

  async append(record: LogRecord): Promise<AppendedRecord> {
    this.attempts += 1;
    if (this.down) throw new DaybookError('log-unavailable', 'the log is away, on purpose');
    await this.hold;
    const position = await this.#inner.append(record);
    this.#effects.push(`append ${decodeEvent(record).type}`);
    return position;
  }
}

/** The real claims; fail on demand. */
export class FaultyClaims implements ExecutionClaims {
  readonly guards: boolean;
  readonly inner: ExecutionClaims;
  down = false;
  readonly #effects: string[];

  constructor(inner: ExecutionClaims, effects: string[] = [], guards = inner.guards) {
    this.inner = inner;
    this.guards = guards;
    this.#effects = effects;
  }

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#unlessDown(() => this.inner.claim(request), (answer) => `claim ${answer.type}`);
  }

  renew(execution: ClaimedExecution, leaseMs: number): Promise<boolean> {
    return this.#unlessDown(() => this.inner.renew(execution, leaseMs), (answer) => `renew ${answer}`);
  }

  storeOutcome(execution: ClaimedExecution, outcome: StoredOutcome): Promise<StoreAnswer> {
    return this.#unlessDown(() => this.inner.storeOutcome(execution, outcome), (answer) => `store ${answer.type}`);
  }

  release(execution: ClaimedExecution): Promise<void> {
    return this.#unlessDown(() => this.inner.release(execution), () => 'release');
  }

  async #unlessDown<Answer>(call: () => Promise<Answer>, name: (answer: Answer) => string): Promise<Answer> {
    if (this.down) throw new DaybookError('claims-unavailable', 'the claims are away, on purpose');
    const answer = await call();
    this.#effects.push(name(answer));
    return answer;
  }
}

/** The embedded presence; keeps what was heard, and fails on demand. */
export class FaultyPresence implements PresenceWriter {
  readonly heard: Heartbeat[] = [];
  /** `away`: every heartbeat fails as the port says. `silent`: none is ever answered. */
  fault: 'away' | 'silent' | null = null;
  readonly #inner = new EmbeddedPresence();

  constructor() {
    this.#inner.reader().start((heartbeat) => this.heard.push(heartbeat));
  }

  async write(heartbeat: Heartbeat): Promise<void> {
    if (this.fault === 'away') throw new DaybookError('log-unavailable', 'heartbeats are not taken, on purpose');
    if (this.fault === 'silent') await new Promise(() => {});
    await this.#inner.write(heartbeat);
  }
}

/** The real receiver; writes down what is settled, and fails to acknowledge on demand. */
class WatchedReceiver implements JobReceiver {
  readonly #inner: JobReceiver;
  readonly #rig: WorkerRig;

  constructor(inner: JobReceiver, rig: WorkerRig) {
    this.#inner = inner;
    this.#rig = rig;
  }

  consume(queue: string, prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer {
    return this.#consume(queue, prefetch, deliver);
  }

  /** Those that the test sends to the queue `dead`, for no embedded queue gives up on a job. */
  consumeDeadLetters(prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer {
    return this.#consume('dead', prefetch, deliver, true);
  }

  #consume(queue: string, prefetch: number, deliver: (delivery: JobDelivery) => void, deadLetter = false): JobConsumer {
    const { effects } = this.#rig;
    return this.#inner.consume(queue, prefetch, (delivery) => {
      effects.push('receive');
      deliver({
        job: delivery.job,
        redelivered: delivery.redelivered,
        returns: this.#rig.returns.get(delivery.job.taskId) ?? delivery.returns,
        deadLetter,
        ack: async () => {
          await this.#rig.ackHold;
          if (this.#rig.ackFailure) throw new DaybookError(this.#rig.ackFailure, 'the queue does not answer, on purpose');
          await delivery.ack();
          effects.push('ack');
        },
        giveBack: () => {
          effects.push('give back');
          delivery.giveBack();
        },
      });
    });
  }
}

export class CollectingLogger implements Logger {
  readonly lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = [];

  debug(fields: LogFields, message: string): void {
    this.lines.push({ level: 'debug', fields, message });
  }

  info(fields: LogFields, message: string): void {
    this.lines.push({ level: 'info', fields, message });
  }

  warn(fields: LogFields, message: string): void {
    this.lines.push({ level: 'warn', fields, message });
  }

  error(fields: LogFields, message: string): void {
    this.lines.push({ level: 'error', fields, message });
  }
}

/** A promise that a test settles. */
export function gate<Value = void>(): { readonly promise: Promise<Value>; readonly open: (value: Value) => void } {
  let open: (value: Value) => void = () => {};
  const promise = new Promise<Value>((resolve) => (open = resolve));
  return { promise, open };
}

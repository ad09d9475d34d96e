import { Worker } from 'node:worker_threads';
import type { EventMetricsSnapshot } from '../../diary/event-metrics.ts';
import type { ProjectionControl, ProjectionStatus } from '../../diary/projection-control.ts';
import { QueryProblem } from '../../diary/query-problem.ts';
import { DaybookError, type ErrorCode } from '../../domain/errors.ts';
import { sleep, waitAtMost, type Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { DependencyHealth, Service } from '../../ports/service.ts';
import type { DiaryAnswers, DiaryCall, DiaryThreadData, FromDiaryThread, ToDiaryThread, TransferredError } from './diary-thread-messages.ts';

const startWaitMs = 5_000;
const callTimeoutMs = 30_000;
/** A healthy thread is heard twice a second, save for the length of one batch. */
const silenceMs = 10_000;
const firstRestartMs = 100;
const longestRestartMs = 5_000;
/** A thread that lived this long makes the next restart a first one again. */
const steadyMs = 30_000;

interface Call {
  readonly resolve: (value: DiaryAnswers[keyof DiaryAnswers]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The main thread's side of the diary's thread. It starts the thread, wakes it when the log has grown, hands calls
 * over, and starts another one when it dies: that loses nothing, since rows and positions are saved together.
 */
export class DiaryThreadHost implements Service, ProjectionControl {
  readonly name = 'diary';
  readonly #data: DiaryThreadData;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  readonly #calls = new Map<number, Call>();
  #worker: Worker | null = null;
  #running: Promise<void> | null = null;
  #started: () => void = () => {};
  #lastCallId = 0;
  #health: { readonly heardMs: number; readonly health: readonly DependencyHealth[] } | null = null;
  #lastDeath: string | null = null;
  #isIdle = false;
  #hasAdvanced = false;

  /** @param data where log and read model are; a log on files must have been made before `start` */
  constructor(data: DiaryThreadData, clock: Clock, logger: Logger) {
    this.#data = data;
    this.#clock = clock;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    const started = new Promise<void>((resolve) => {
      this.#started = resolve;
    });
    this.#running ??= this.#keepRunning();
    await waitAtMost(this.#clock, startWaitMs, started);
  }

  /** The thread finishes its batch; past the deadline it is ended, which loses nothing either. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    this.#post({ type: 'stop', deadlineMs });
    if (this.#running) await waitAtMost(this.#clock, deadlineMs, this.#running);
    await this.#worker?.terminate();
    await this.#running;
  }

  health(): readonly DependencyHealth[] {
    const known = this.#health;
    if (!known) return [{ name: 'thread', ok: false, detail: this.#lastDeath ?? 'is starting' }];
    const silentMs = this.#clock.monotonicMs() - known.heardMs;
    const ok = silentMs < silenceMs;
    return [{ name: 'thread', ok, detail: ok ? 'running' : `not heard for ${Math.round(silentMs / 1_000)} s` }, ...known.health];
  }

  /** Says that the log has grown. Cheap: a message goes out only when the thread waits for one. */
  logAdvanced(): void {
    this.#hasAdvanced = true;
    if (this.#isIdle) this.#wake();
  }

  projections(): Promise<readonly ProjectionStatus[]> {
    return this.#call<'projections'>({ method: 'projections' });
  }

  rebuild(name: string): Promise<{ readonly operation: string }> {
    return this.#call<'rebuild'>({ method: 'rebuild', name });
  }

  metrics(): Promise<EventMetricsSnapshot> {
    return this.#call<'metrics'>({ method: 'metrics' });
  }

  async #keepRunning(): Promise<void> {
    let restartMs = firstRestartMs;
    while (!this.#stopping.signal.aborted) {
      const bornMs = this.#clock.monotonicMs();
      const death = await this.#runOnce();
      if (this.#stopping.signal.aborted) return;
      const lifeMs = this.#clock.monotonicMs() - bornMs;
      if (lifeMs >= steadyMs) restartMs = firstRestartMs;
      this.#lastDeath = `ended and is started again: ${death}`;
      this.#logger.error({ death, restartMs }, "the diary's thread ended");
      await sleep(this.#clock, restartMs, this.#stopping.signal);
      restartMs = Math.min(longestRestartMs, restartMs * 2);
    }
  }

  /** One life of the thread; settles with why it ended. */
  async #runOnce(): Promise<string> {
    const worker = new Worker(threadFile(), { name: 'diary', workerData: this.#data, execArgv: [] });
    this.#worker = worker;
    let reason = '';
    worker.on('message', (message: FromDiaryThread) => this.#receive(message));
    worker.on('error', (error) => {
      reason = String(error);
    });
    const code = await new Promise<number>((resolve) => worker.once('exit', resolve));
    this.#worker = null;
    this.#health = null;
    this.#isIdle = false;
    for (const { reject } of this.#calls.values()) reject(unavailable("the diary's thread ended before it answered"));
    this.#calls.clear();
    return reason || `exit code ${code}`;
  }

  #receive(message: FromDiaryThread): void {
    switch (message.type) {
      case 'health':
        this.#health = { heardMs: this.#clock.monotonicMs(), health: message.health };
        if (message.isStarted) this.#started();
        return;
      case 'idle':
        // Records that came after its last look are not known to it: then it must look again at once.
        this.#isIdle = true;
        if (this.#hasAdvanced) this.#wake();
        return;
      case 'answer':
        return this.#settle(message.id, ({ resolve }) => resolve(message.value));
      case 'refusal':
        return this.#settle(message.id, ({ reject }) => reject(received(message.error)));
      case 'log':
        return this.#logger[message.level](message.fields, message.message);
      default:
        return message satisfies never;
    }
  }

  #wake(): void {
    this.#isIdle = false;
    this.#hasAdvanced = false;
    this.#post({ type: 'wake' });
  }

  #post(message: ToDiaryThread): void {
    this.#worker?.postMessage(message);
  }

  #call<Method extends keyof DiaryAnswers>(call: DiaryCall & { readonly method: Method }): Promise<DiaryAnswers[Method]> {
    if (!this.#worker) return Promise.reject(unavailable("the diary's thread does not run now; it is being started"));
    const id = ++this.#lastCallId;
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.setTimer(callTimeoutMs, () =>
        this.#settle(id, (late) => late.reject(unavailable(`the diary's thread did not answer within ${callTimeoutMs / 1_000} s`))),
      );
      this.#calls.set(id, {
        resolve: (value) => {
          cancel();
          resolve(value as DiaryAnswers[Method]);
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      });
      this.#post({ type: 'call', id, call });
    });
  }

  #settle(id: number, how: (call: Call) => void): void {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    how(call);
  }
}

/** The thread's file has the same ending as this one: .ts when run unbuilt, .js from the build. */
function threadFile(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './diary-thread.ts' : './diary-thread.js', import.meta.url);
}

function unavailable(message: string): DaybookError {
  return new DaybookError('projection-unavailable', message);
}

function received({ message, code, problem }: TransferredError): Error {
  if (problem) return new QueryProblem({ ...problem, code: code ?? 'diary-unavailable' });
  return new DaybookError((code as ErrorCode | null) ?? 'projection-unavailable', message);
}

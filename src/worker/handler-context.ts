import { DaybookError } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import { TransactionsUnavailable } from '../task-definition/failures.ts';
import type { HandlerContext, HandlerLog } from '../task-definition/handle.ts';
import type { BreakOff } from './break-off.ts';
import { submitChild, type ChildTaskParts } from './child-tasks.ts';
import { progressEvent } from './execution-events.ts';
import { ProgressReporter } from './progress-reporter.ts';

export interface HandlerContextParts extends ChildTaskParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a handler sees of its execution, until `end`. */
export class ExecutionContext {
  readonly context: HandlerContext;
  readonly #progress: ProgressReporter;
  #ended = false;

  /** To be made right before the handler runs: its deadline counts from now. */
  constructor(parts: HandlerContextParts, job: Job, executionId: string, breakOff: BreakOff) {
    const { taskId, type, attempt } = job;
    const deadlineMs = parts.clock.nowMs() + job.timeoutMs;
    this.#progress = new ProgressReporter(parts.producer, parts.clock, parts.logger, (data) => progressEvent(job, executionId, data));
    // Plain functions, so that a handler may take them out of the context.
    this.context = {
      taskId,
      type,
      attempt,
      idempotencyKey: taskId,
      get signal() {
        return breakOff.signal;
      },
      get deadline() {
        return new Date(deadlineMs);
      },
      log: handlerLog(parts.logger, job),
      progress: (fraction, note) => this.#progress.report(fraction, note),
      submit: async (definition, payload, options) => {
        if (this.#ended) throw new DaybookError('stopped', `task ${taskId}: the execution has ended, it can submit no child`);
        return submitChild(parts, job, definition as never, payload, options);
      },
      transaction: async () => {
        throw new TransactionsUnavailable('ctx.transaction is not built yet: write with ctx.idempotencyKey instead');
      },
    };
  }

  /**
   * A handler that runs on has no say any more. Resolves when no event of its making is under way.
   *
   * @param hasOutcome false: the execution is broken off, and nothing more of it is recorded
   */
  async end(hasOutcome: boolean): Promise<void> {
    this.#ended = true;
    await this.#progress.end(hasOutcome);
  }
}

function handlerLog(logger: Logger, { taskId, type, attempt }: Job): HandlerLog {
  const bound = { taskId, type, attempt };
  return {
    info: (message, fields) => logger.info({ ...fields, ...bound }, message),
    warn: (message, fields) => logger.warn({ ...fields, ...bound }, message),
    error: (message, fields) => logger.error({ ...fields, ...bound }, message),
  };
}

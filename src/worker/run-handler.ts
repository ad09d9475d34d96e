import type { Job } from '../domain/job.ts';
import type { JsonValue } from '../domain/json.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { FailureCause, TaskError } from '../domain/task-events.ts';
import type { Clock } from '../ports/clock.ts';
import type { HandlerContext } from '../task-definition/handle.ts';
import { issuePointer, type SchemaIssue } from '../task-definition/standard-schema.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import type { AbandonCause, BreakOff } from './break-off.ts';
import { describeThrown, isOwnDecision, taskError } from './task-error.ts';
import { toJson } from './to-json.ts';

export type FoundHandler = NonNullable<ReturnType<TaskCatalog['findHandler']>>;

export interface HandlerCall {
  readonly job: Job;
  readonly found: FoundHandler;
  readonly context: HandlerContext;
  readonly breakOff: BreakOff;
  readonly clock: Clock;
  readonly maxResultBytes: number;
  readonly maxDepth: number;
}

/** How a handler's run ended for the worker. */
export interface HandlerEnding {
  /** Null: broken off by the worker's shutdown, which is no outcome. */
  readonly outcome: Outcome | null;
  /** Settles when a handler that nobody waits for any more returns; null when it has returned. */
  readonly stillRunning: Promise<unknown> | null;
}

/** How long a handler may take to end after its time limit, before it counts as ignoring its signal. */
const timeoutGraceMs = 1_000;
const longestTimerMs = 2 ** 31 - 1;
const issuesNamed = 5;

/**
 * Runs a handler and says how it ended. The only place that catches everything: whatever the handler, or the schemas
 * that come with it, return or throw becomes an outcome, and nothing of Daybook's own runs inside.
 *
 * The signal aborts at the job's time limit, counted from now. A value returned after that still completes the task,
 * since the work was done; a handler that has not returned a second later has failed with `timeout`.
 */
export async function runHandler(call: HandlerCall): Promise<HandlerEnding> {
  const { clock, breakOff, job } = call;
  const startedMs = clock.monotonicMs();
  const cancelTimer = armTimeout(call);
  const work = callHandler(call);
  const first = await new Promise<Work | AbandonCause>((resolve) => {
    breakOff.whenAbandoned(resolve);
    void work.then(resolve);
  });
  cancelTimer();

  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  if (first === 'shutdown') return { outcome: null, stillRunning: work };
  if (first === 'timeout') return { outcome: failed('timeout', timeoutError(job.timeoutMs), durationMs), stillRunning: work };
  return { outcome: outcomeOf(first, breakOff, job, durationMs), stillRunning: null };
}

type Work =
  | { readonly type: 'returned'; readonly result: JsonValue }
  /** The handler, or what it was given or gave, broke a rule. */
  | { readonly type: 'refused'; readonly error: TaskError }
  | { readonly type: 'thrown'; readonly error: TaskError };

function outcomeOf(work: Work, { cause }: BreakOff, job: Job, durationMs: number): Outcome | null {
  switch (work.type) {
    case 'returned':
      return { type: 'Completed', result: work.result, durationMs };
    case 'refused':
      return failed('handler', work.error, durationMs);
    case 'thrown':
      if (cause === null || isOwnDecision(work.error)) return failed('handler', work.error, durationMs);
      // What is thrown after the signal aborted is most likely the abort itself.
      if (cause === 'shutdown') return null;
      return cause === 'timeout' ? failed('timeout', timeoutError(job.timeoutMs), durationMs) : failed('handler', work.error, durationMs);
    default:
      return work satisfies never;
  }
}

function failed(cause: FailureCause, error: TaskError, durationMs: number): Outcome {
  return { type: 'Failed', cause, error, durationMs };
}

function armTimeout({ clock, breakOff, job }: HandlerCall): () => void {
  let cancel = clock.setTimer(Math.min(job.timeoutMs, longestTimerMs), () => {
    breakOff.abort('timeout');
    cancel = clock.setTimer(timeoutGraceMs, () => breakOff.abandon('timeout'));
  });
  return () => cancel();
}

function timeoutError(timeoutMs: number): TaskError {
  return taskError('TimeoutError', 'timeout', `the handler did not finish within its limit of ${timeoutMs} ms`, true);
}

/** Never rejects. */
async function callHandler(call: HandlerCall): Promise<Work> {
  const { job, found, context } = call;
  try {
    const parsed = await parsePayload(found, job.payload);
    if ('error' in parsed) return { type: 'refused', error: parsed.error };
    const value = await found.handler.run(parsed.payload, context);
    return await checkResult(call, value);
  } catch (thrown) {
    return { type: 'thrown', error: describeThrown(thrown) };
  }
}

/** The api checked the payload already; this worker may be of another release, and only it makes the parsed value. */
async function parsePayload({ definition, upcast }: FoundHandler, payload: JsonValue): Promise<{ payload: unknown } | { error: TaskError }> {
  let current: JsonValue;
  try {
    current = upcast(payload);
  } catch (thrown) {
    const { message } = describeThrown(thrown);
    return { error: refusal('PayloadInvalid', 'payload-invalid', `the upcast to version ${definition.version} failed: ${message}`) };
  }
  const checked = await definition.payload['~standard'].validate(current);
  if (!checked.issues) return { payload: checked.value };
  return { error: refusal('PayloadInvalid', 'payload-invalid', `the payload breaks its schema: ${inWords(checked.issues)}`) };
}

async function checkResult({ found: { definition }, maxResultBytes, maxDepth }: HandlerCall, value: unknown): Promise<Work> {
  const checked = definition.result ? await definition.result['~standard'].validate(value) : { value };
  if (checked.issues) return resultInvalid(`the result breaks its schema: ${inWords(checked.issues)}`);
  const converted = toJson(checked.value, maxDepth);
  if ('problem' in converted) return resultInvalid(`the result: ${converted.problem}`);
  if (converted.bytes > maxResultBytes) {
    const message = `the result has ${converted.bytes} bytes, at most ${maxResultBytes} are kept: store it elsewhere and return where`;
    return { type: 'refused', error: refusal('ResultTooLarge', 'result-too-large', message) };
  }
  return { type: 'returned', result: converted.json };
}

function resultInvalid(message: string): Work {
  return { type: 'refused', error: refusal('ResultInvalid', 'result-invalid', message) };
}

/** Not retryable: the same code would break the same rule again. */
function refusal(name: string, code: string, message: string): TaskError {
  return taskError(name, code, message, false);
}

function inWords(issues: readonly SchemaIssue[]): string {
  const named = issues.slice(0, issuesNamed).map((issue) => `${issuePointer(issue) || 'the whole'}: ${issue.message}`);
  return named.join('; ') + (issues.length > issuesNamed ? `; and ${issues.length - issuesNamed} more` : '');
}

import { hasCode } from '../../domain/errors.ts';
import { instantText } from '../../domain/instant.ts';
import type { Positions } from '../../domain/log-record.ts';
import { isTerminal } from '../../domain/task-state.ts';
import { sleep, type Clock } from '../../ports/clock.ts';
import type { EventReader } from '../../ports/event-reader.ts';
import type { ProjectionReader } from '../../ports/projection-reader.ts';
import type { TaskRow } from '../../ports/projection-store.ts';
import { foldRow } from '../fold-batch.ts';
import { diaryUnavailable, rebuilding, taskNotFound } from '../query-problem.ts';
import { HistoryReading, type EventView } from './event-view.ts';
import { freshnessOf, type AsOf } from './freshness.ts';
import { readLogPage, type RawRecord } from './log-page.ts';
import { LookAhead } from './look-ahead.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import { longestWaitMs, type EventsParameters, type ListParameters, type LogParameters, type TaskParameters } from './parameters.ts';
import { parseTaskFilter } from './task-filter.ts';
import { readBodies, recordsOf, rowAt, type Moment } from './task-history.ts';
import { attemptViews, taskSummary, taskView, type AttemptView, type TaskSummary, type TaskView } from './task-view.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** A waiting question looks again after a fifth of the time that it has waited: it answers that much late at most. */
const looksPerWait = 5;
const shortestPollMs = 5;
const longestPollMs = 250;
/** An answer with events holds no more than about this many bytes of values. */
const mostEventBytes = 4 * 1024 * 1024;

export type TaskAnswer = TaskView & { readonly asOf: AsOf };

export interface Page<Item> {
  readonly items: readonly Item[];
  /** For the parameter that continues the list; null on the last page. */
  readonly next: string | number | null;
  /** On the last page of a task's events: how many came after the first 10,000; they stand in the log. */
  readonly omitted?: number;
  readonly asOf: AsOf;
}

interface Located {
  readonly row: TaskRow;
  readonly positions: Positions;
}

/**
 * Answers questions about tasks from the read model, bodies and events from the log. Every answer says how fresh it is.
 *
 * Every call may throw a QueryProblem: 400 for a parameter, 404 `task-not-found`, 503 `rebuilding`,
 * `read-model-behind` or `diary-unavailable`.
 */
export class TaskQueries {
  readonly #reader: EventReader;
  readonly #projections: ProjectionReader;
  readonly #clock: Clock;
  readonly #lookAhead: LookAhead;

  constructor(reader: EventReader, projections: ProjectionReader, clock: Clock) {
    this.#reader = reader;
    this.#projections = projections;
    this.#clock = clock;
    this.#lookAhead = new LookAhead(reader, clock);
  }

  /** @param signal aborts when nobody waits for the answer any more */
  get(id: string, { waitMs = 0, moment }: TaskParameters = {}, signal?: AbortSignal): Promise<TaskAnswer> {
    return answering(async () => {
      if (moment) return this.#getAt(id, moment);
      const { row, positions } = await this.#awaitEnd(id, waitMs, signal);
      return this.#answerOf(row, await this.freshnessAt(positions));
    });
  }

  /** The records of a task by offset, judged anew. Fewer than `limit` when they are large. */
  events(id: string, { limit, skip }: EventsParameters): Promise<Page<EventView>> {
    return answering(async () => {
      const { row, positions } = await this.#locate(id, hasEvents);
      const reading = new HistoryReading(this.#reader.topic, row.state.taskId);
      const items: EventView[] = [];
      let read = 0;
      let bytes = 0;
      for await (const record of recordsOf(this.#reader, row)) {
        if (items.length >= limit || bytes >= mostEventBytes) break;
        const view = reading.next(record);
        if (++read <= skip) continue;
        items.push(view);
        bytes += record.value.byteLength;
      }
      const next = read < row.offsets.length ? String(read) : null;
      const omitted = next === null && row.furtherEvents > 0 ? { omitted: row.furtherEvents } : {};
      return { items, next, ...omitted, asOf: await this.freshnessAt(positions) };
    });
  }

  attempts(id: string): Promise<Page<AttemptView>> {
    return answering(async () => {
      const { row, positions } = await this.#locate(id);
      return { items: attemptViews(row.state), next: null, asOf: await this.freshnessAt(positions) };
    });
  }

  /** Newest first. */
  list({ q, cursor, limit }: ListParameters): Promise<Page<TaskSummary>> {
    return answering(async () => {
      const filter = parseTaskFilter(q, this.#clock.nowMs());
      const after = cursor === null ? null : decodeCursor(cursor, q);
      const { rows, next, view } = await this.#projections.list({ filter, after, limit });
      return {
        items: rows.flatMap(({ state }) => taskSummary(state) ?? []),
        next: next && encodeCursor(q, next),
        asOf: await this.freshnessAt(view.positions),
      };
    });
  }

  /** Raw records. They come from the log itself, so the answer is as fresh as can be. */
  log(parameters: LogParameters): Promise<Page<RawRecord>> {
    return answering(async () => {
      const page = await readLogPage(this.#reader, parameters);
      return { ...page, asOf: await this.freshnessAt(await this.#reader.endPositions()) };
    });
  }

  freshnessAt(positions: Positions): Promise<AsOf> {
    return answering(() => freshnessOf(positions, this.#reader, this.#clock));
  }

  /** @throws QueryProblem 404 only when neither the read model nor the log up to its present end knows the id */
  async #locate(givenId: string, isKnown: (row: TaskRow) => boolean = isTask): Promise<Located> {
    if (!uuidPattern.test(givenId)) throw taskNotFound('A task id is a UUID, such as 01900000-0000-7000-8000-000000000000.');
    const id = givenId.toLowerCase();
    const { row, view } = await this.#projections.task(id);
    if (row && isKnown(row)) return { row, positions: view.positions };
    const ahead = await this.#lookAhead.recordsOf(id, view.positions);
    const found = ahead.records.length > 0 ? foldRow(row, id, ahead.records) : row;
    if (!found || !isKnown(found)) throw taskNotFound(`No event that accepts or rejects task ${id} is in the log.`);
    return { row: found, positions: ahead.positions };
  }

  async #getAt(id: string, moment: Moment): Promise<TaskAnswer> {
    const present = await this.#locate(id);
    const { row, positions, timeMs } = await rowAt(this.#reader, present.row, moment);
    return this.#answerOf(row, { positions: Object.fromEntries(positions), time: instantText(timeMs), lagMs: 0 });
  }

  /** Looks again until the task has ended or the time is up; then answers with what there is. */
  async #awaitEnd(id: string, waitMs: number, signal?: AbortSignal): Promise<Located> {
    const askedMs = this.#clock.monotonicMs();
    for (;;) {
      const located = await this.#locate(id);
      const waitedMs = this.#clock.monotonicMs() - askedMs;
      const leftMs = Math.min(waitMs, longestWaitMs) - waitedMs;
      if (isTerminal(located.row.state) || leftMs <= 0 || signal?.aborted) return located;
      const pollMs = Math.min(longestPollMs, Math.max(shortestPollMs, waitedMs / looksPerWait));
      await sleep(this.#clock, Math.min(pollMs, leftMs), signal);
    }
  }

  async #answerOf(row: TaskRow, asOf: AsOf): Promise<TaskAnswer> {
    const summary = taskSummary(row.state);
    if (!summary) throw taskNotFound(`Task ${row.state.taskId} was neither accepted nor rejected by then.`);
    return { ...taskView(summary, await readBodies(this.#reader, row)), asOf };
  }
}

/** A task is what was accepted or rejected. */
function isTask({ state }: TaskRow): boolean {
  return taskSummary(state) !== null;
}

/** Also requests for a task that nobody submitted are history, and can be seen. */
function hasEvents({ offsets }: TaskRow): boolean {
  return offsets.length > 0;
}

/** What the ports throw, as the problem that a client can act upon. */
async function answering<Answer>(answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer();
  } catch (error) {
    if (hasCode(error, 'projection-rebuilding')) throw rebuilding('The rows of the read model are being derived from the log. Ask again shortly.');
    if (hasCode(error, 'projection-unavailable')) throw diaryUnavailable('The read model cannot be read now. Ask again shortly.');
    if (hasCode(error, 'log-unavailable') || hasCode(error, 'history-lost')) throw diaryUnavailable('The log cannot be read now. Ask again shortly.');
    throw error;
  }
}

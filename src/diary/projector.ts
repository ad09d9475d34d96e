import { DaybookError, hasCode, messageOf } from '../domain/errors.ts';
import { instantText } from '../domain/instant.ts';
import type { Positions, StoredRecord } from '../domain/log-record.ts';
import { sleep, waitAtMost, type Clock } from '../ports/clock.ts';
import type { EventCursor, EventReader } from '../ports/event-reader.ts';
import type { Logger } from '../ports/logger.ts';
import type { GenerationSummary, ProjectionStore } from '../ports/projection-store.ts';
import type { DependencyHealth, Service } from '../ports/service.ts';
import { EventMetrics, type EventMetricsSnapshot } from './event-metrics.ts';
import { prepareBatch, type EventObserver } from './fold-batch.ts';
import { projectionName, type ProjectionControl, type ProjectionStatus, type RebuildReport } from './projection-control.ts';
import { QueryProblem } from './query-problem.ts';
import { rebuildTasks, turnForOthers } from './rebuild.ts';

const recordsPerBatch = 5_000;
/**
 * After a batch the projector rests so many times as long as the batch took. What comes meanwhile shares one
 * transaction, and many events of a task cost one row: the dearer a batch is, the fewer there are.
 */
const restPerBatch = 3;
const longestRestMs = 300;
/** How often an idle projector looks whether its tables are still there. */
const tablesCheckMs = 2_000;
const firstRetryMs = 100;
const longestRetryMs = 5_000;
/** How long `start` waits for the rows to be live before it lets them come by themselves. */
const startWaitMs = 2_000;
const digestKeptMs = 10_000;

export interface ProjectorTools {
  readonly reader: EventReader;
  readonly store: ProjectionStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called before each wait for records: everything that was in the log is applied. */
  readonly onIdle?: () => void;
}

/**
 * Reads the log and keeps the rows of the read model up with it, from the positions that are stored with the rows.
 *
 * Events of a batch are folded per task in the stored rows, and rows and positions are saved together. A crash
 * between reading and saving leaves the old positions: the same records are read again. A batch that comes twice, or
 * to two owners, meets moved positions and changes nothing; its owner goes on from the stored ones.
 *
 * Rows that are not there (a first start, dropped tables, another version of rows) are derived again from the
 * beginning. Until that is done there are no live rows, so that no reader sees a part of them.
 */
export class Projector implements Service, ProjectionControl {
  readonly name = 'projector';
  readonly #tools: ProjectorTools;
  readonly #stopping = new AbortController();
  readonly #metrics = new EventMetrics();
  readonly #attempted: Promise<void>;
  #markAttempted: () => void = () => {};
  #running: Promise<void> | null = null;
  #cursor: EventCursor | null = null;
  #trouble: { readonly dependency: 'log' | 'read-model'; readonly detail: string } | null = null;
  #isLive = false;
  #turn: Promise<unknown> = Promise.resolve();
  #rebuild: { readonly operation: string; readonly done: Promise<RebuildReport> } | null = null;
  #lastRebuild: RebuildReport | null = null;
  /** The newest summary of the live rows; `value` is null while it is being computed. */
  #summary: { readonly atMs: number; readonly asked: Promise<GenerationSummary | null>; readonly value: GenerationSummary | null } | null = null;

  constructor(tools: ProjectorTools) {
    this.#tools = tools;
    this.#attempted = new Promise((resolve) => {
      this.#markAttempted = resolve;
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
    await waitAtMost(this.#tools.clock, startWaitMs, this.#attempted);
  }

  /** A batch that is being saved is finished; nothing else is held. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    this.#cursor?.wake();
    await waitAtMost(this.#tools.clock, deadlineMs, Promise.all([this.#running, this.#rebuild?.done]));
  }

  /** Says that the log has grown: a waiting projector reads on at once. Cheap. */
  logAdvanced(): void {
    this.#cursor?.wake();
  }

  health(): readonly DependencyHealth[] {
    const trouble = this.#trouble;
    const log = trouble?.dependency === 'log' ? { ok: false, detail: trouble.detail } : { ok: true, detail: 'read' };
    return [{ name: 'log', ...log }, { name: 'read-model', ...this.#readModelHealth() }];
  }

  async projections(): Promise<readonly ProjectionStatus[]> {
    const { reader, store } = this.#tools;
    const [identity, end] = [await reader.identity(), await reader.endPositions()];
    const live = await store.positions('live', identity).catch(ignoreLostHistory);
    const summary = live ? await this.#liveSummary(live) : null;
    const positions = summary?.positions ?? new Map<number, number>();
    const lag = [...end].reduce((sum, [partition, offset]) => sum + Math.max(0, offset - (live?.get(partition) ?? 0)), 0);
    return [
      {
        name: projectionName,
        state: this.#isLive && !this.#rebuild ? 'live' : 'rebuilding',
        positions: Object.fromEntries([...end.keys()].map((partition) => [partition, positions.get(partition) ?? 0])),
        lag,
        digest: summary?.digest ?? null,
        tasks: summary?.tasks ?? 0,
        quarantined: summary?.quarantined ?? 0,
        lastRebuild: this.#lastRebuild,
        health: this.health(),
      },
    ];
  }

  async rebuild(name: string): Promise<{ readonly operation: string }> {
    if (name !== projectionName) {
      const detail = `There is no projection '${name}'; there is '${projectionName}'.`;
      throw new QueryProblem({ status: 404, code: 'projection-not-found', title: 'There is no such projection', detail });
    }
    return { operation: this.#startRebuild().operation };
  }

  async metrics(): Promise<EventMetricsSnapshot> {
    return this.#metrics.snapshot();
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#tools;
    const { signal } = this.#stopping;
    let retryMs = firstRetryMs;
    while (!signal.aborted) {
      try {
        await this.#follow(() => {
          this.#trouble = null;
          retryMs = firstRetryMs;
        });
      } catch (error) {
        // Nothing was skipped: the positions are those of the last saved batch, and reading begins there again.
        if (signal.aborted) break;
        this.#trouble = troubleOf(error);
        logger.warn({ error, retryMs }, 'the projector cannot go on; it tries again');
        this.#markAttempted();
        await sleep(clock, retryMs, signal);
        retryMs = Math.min(longestRetryMs, retryMs * 2);
      }
    }
    this.#markAttempted();
  }

  /** Follows the log from the stored positions; returns when they have to be looked up again. */
  async #follow(onProgress: () => void): Promise<void> {
    const { reader, store } = this.#tools;
    const identity = await reader.identity();
    const positions = await store.positions('live', identity);
    this.#isLive = positions !== null;
    if (!positions) return this.#deriveAll(onProgress);
    assertWithin(positions, await reader.endPositions());
    const cursor = reader.openCursor(positions);
    this.#cursor = cursor;
    try {
      onProgress();
      this.#markAttempted();
      await this.#applyAll(cursor, positions, identity, onProgress);
    } finally {
      this.#cursor = null;
      cursor.close();
    }
  }

  async #deriveAll(onProgress: () => void): Promise<void> {
    const report = await this.#startRebuild().done;
    if (report.error !== null) throw new DaybookError('projection-unavailable', report.error);
    onProgress();
  }

  async #applyAll(cursor: EventCursor, from: Positions, identity: string, onProgress: () => void): Promise<void> {
    const { clock, store, onIdle } = this.#tools;
    const { signal } = this.#stopping;
    let positions = from;
    let checkedMs = clock.monotonicMs();
    let records: readonly StoredRecord[] = [];
    while (!signal.aborted) {
      if (records.length < recordsPerBatch) onIdle?.();
      records = await cursor.next({ maxRecords: recordsPerBatch, waitMs: tablesCheckMs });
      const cameMs = clock.monotonicMs();
      if (records.length > 0) {
        const next = await this.#apply(positions, records);
        if (!next) return;
        positions = next;
        onProgress();
      }
      const nowMs = clock.monotonicMs();
      if (nowMs - checkedMs >= tablesCheckMs) {
        checkedMs = nowMs;
        if (!(await store.positions('live', identity))) return;
      }
      if (records.length === recordsPerBatch) await turnForOthers(clock);
      else if (records.length > 0) await sleep(clock, Math.min(longestRestMs, restPerBatch * (nowMs - cameMs)), signal);
    }
  }

  /** The positions after the batch; null when the stored ones are others than ours. */
  async #apply(positions: Positions, records: readonly StoredRecord[]): Promise<Positions | null> {
    // Counted only once the batch is saved, so that one that is read again does not count twice.
    const observed: Array<Parameters<EventObserver>> = [];
    const { taskIds, quarantined, next, lastEventMs, change } = prepareBatch(positions, records, (...event) => void observed.push(event));
    const batch = { generation: 'live', expected: positions, next, lastEventMs, taskIds, change, quarantined } as const;
    const isSaved = await this.#exclusively(() => this.#tools.store.applyBatch(batch));
    if (!isSaved) return null;
    for (const event of observed) this.#metrics.observe(...event);
    this.#metrics.addQuarantined(quarantined.length);
    return next;
  }

  /** One at a time: a batch, or the last step of a rebuild. */
  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #startRebuild() {
    if (this.#rebuild) return this.#rebuild;
    const operation = `rebuild-${projectionName}-${this.#tools.clock.nowMs()}`;
    const done = this.#runRebuild(operation);
    this.#rebuild = { operation, done };
    return this.#rebuild;
  }

  async #runRebuild(operation: string): Promise<RebuildReport> {
    const { reader, store, clock, logger } = this.#tools;
    const startedMs = clock.monotonicMs();
    const end = () => ({ operation, finishedAt: instantText(clock.nowMs()), durationMs: Math.round(clock.monotonicMs() - startedMs) });
    let report: RebuildReport;
    try {
      const exclusively = <Result>(work: () => Promise<Result>) => this.#exclusively(work);
      const { before, after, events } = await rebuildTasks({ reader, store, clock, exclusively, signal: this.#stopping.signal });
      const equal = before && before.digest === after.digest;
      report = { ...end(), equal, digestBefore: before?.digest ?? null, digestAfter: after.digest, events, error: null };
      logger.info({ ...report }, 'the read model was derived again from the log');
    } catch (error) {
      const detail = messageOf(error);
      report = { ...end(), equal: null, digestBefore: null, digestAfter: null, events: 0, error: detail };
      logger.warn({ ...report }, 'the rebuild did not come to its end');
    }
    this.#lastRebuild = report;
    this.#rebuild = null;
    this.#summary = null;
    return report;
  }

  /** Reads every row, so the answer is shared by those who ask meanwhile, and kept for a while if nothing moves. */
  async #liveSummary(positions: Positions): Promise<GenerationSummary | null> {
    const nowMs = this.#tools.clock.monotonicMs();
    const kept = this.#summary;
    if (kept && (kept.value === null || (nowMs - kept.atMs < digestKeptMs && samePositions(kept.value.positions, positions)))) return kept.asked;
    const asked = this.#tools.store.summaries(['live']).then(({ live }) => live);
    this.#summary = { atMs: nowMs, asked, value: null };
    try {
      const value = await asked;
      this.#summary = value && { atMs: nowMs, asked, value };
      return value;
    } catch (error) {
      this.#summary = null;
      throw error;
    }
  }

  #readModelHealth(): { ok: boolean; detail: string } {
    if (this.#trouble?.dependency === 'read-model') return { ok: false, detail: this.#trouble.detail };
    if (this.#isLive) return { ok: true, detail: this.#rebuild ? 'live, and being rebuilt beside it' : 'live' };
    return { ok: false, detail: 'is being derived from the log' };
  }
}

/** @throws DaybookError `history-lost` */
function assertWithin(positions: Positions, end: Positions): void {
  for (const [partition, offset] of positions) {
    const endOffset = end.get(partition) ?? 0;
    if (offset <= endOffset) continue;
    throw new DaybookError(
      'history-lost',
      `the read model has read partition ${partition} up to offset ${offset}, but the log ends at ${endOffset}: records are gone. ` +
        'Restore the log, or drop the read model to derive it from what is left.',
    );
  }
}

function samePositions(left: Positions, right: Positions): boolean {
  return left.size === right.size && [...left].every(([partition, offset]) => right.get(partition) === offset);
}

function troubleOf(error: unknown): { dependency: 'log' | 'read-model'; detail: string } {
  const detail = messageOf(error);
  const ofLog = hasCode(error, 'log-unavailable') || hasCode(error, 'history-lost');
  return { dependency: ofLog ? 'log' : 'read-model', detail };
}

/** Lost history is told by the health; the status then has no positions. */
function ignoreLostHistory(error: unknown): null {
  if (hasCode(error, 'history-lost')) return null;
  throw error;
}

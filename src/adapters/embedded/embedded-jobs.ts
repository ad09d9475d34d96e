import type { StatementSync } from 'node:sqlite';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';
import type { Job } from '../../domain/job.ts';
import { traceContextOf } from '../../domain/trace-context.ts';
import type { EmbeddedStore } from './embedded-store.ts';
import type { CommitParticipant } from './group-commit.ts';
import { JobLane, type WaitingJob } from './job-lane.ts';

export interface EmbeddedJobsOptions {
  /** Jobs that the queues may hold together, default 1,000,000. A further one is refused. */
  readonly maxJobs?: number;
  /** The largest job as JSON, default 1 MiB. A larger one is refused. */
  readonly maxJobBytes?: number;
}

/**
 * The jobs of a data folder, shared by sender and receiver: rows in the file are the truth, lanes in memory hold what
 * is delivered next. A row leaves the file only by its acknowledgement, so whatever was not acknowledged is delivered
 * again after a crash.
 */
export class EmbeddedJobs implements CommitParticipant {
  readonly store: EmbeddedStore;
  readonly maxJobBytes: number;
  readonly #maxJobs: number;
  readonly #lanes = new Map<string, JobLane>();
  readonly #statements: Record<'insert' | 'exists' | 'remove' | 'page' | 'beyond' | 'park' | 'summary', StatementSync>;
  /** Jobs up to this id were here before this process, and may have been delivered by its predecessor. */
  readonly #lastInheritedId: number;
  #lastId: number;
  #count: number;
  #parked: number;
  /** What the running transaction does, and is void when it fails. */
  #added: { readonly queue: string; readonly job: WaitingJob }[] = [];
  #removed = 0;
  #newlyParked = 0;

  constructor(store: EmbeddedStore, { maxJobs = 1_000_000, maxJobBytes = 1024 * 1024 }: EmbeddedJobsOptions = {}) {
    this.store = store;
    this.maxJobBytes = maxJobBytes;
    this.#maxJobs = maxJobs;
    const { database } = store;
    this.#statements = {
      insert: database.prepare('INSERT INTO jobs (id, queue, task_id, attempt, issue, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
      exists: database.prepare('SELECT 1 FROM jobs WHERE task_id = ? AND attempt = ? AND issue = ?'),
      remove: database.prepare('DELETE FROM jobs WHERE id = ?'),
      page: database.prepare('SELECT id, body FROM jobs WHERE id > ? AND queue = ? ORDER BY id LIMIT ?'),
      beyond: database.prepare('SELECT count(*) AS jobs FROM jobs WHERE id > ? AND queue = ?'),
      park: database.prepare('INSERT INTO parked_jobs (queue, body, parked_ms) SELECT queue, body, ? FROM jobs WHERE id = ?'),
      summary: database.prepare('SELECT count(*) AS jobs, coalesce(max(id), 0) AS last, (SELECT count(*) FROM parked_jobs) AS parked FROM jobs'),
    };
    const summary = this.#statements.summary.get();
    this.#count = Number(summary?.['jobs']);
    this.#parked = Number(summary?.['parked']);
    this.#lastId = this.#lastInheritedId = Number(summary?.['last']);
    store.commits.join(this);
  }

  /** Messages that were no jobs, kept in `parked_jobs` for people to look at. */
  get parked(): number {
    return this.#parked;
  }

  lane(queue: string): JobLane {
    let lane = this.#lanes.get(queue);
    if (!lane) this.#lanes.set(queue, (lane = new JobLane((after, limit) => this.#page(queue, after, limit))));
    return lane;
  }

  /** Jobs of a queue that wait to be delivered; those that consumers hold are not counted. Throws when the file is closed. */
  ready(queue: string): number {
    const { loaded, loadedTo } = this.lane(queue);
    return loaded + Number(this.#statements.beyond.get(loadedTo, queue)?.['jobs']);
  }

  /** For operations of the group commit. `present`: the same issue of the attempt is in a queue already. */
  add(job: Job, body: string): 'added' | 'present' | 'full' {
    const { queue, taskId, attempt, issue } = job;
    if (this.#count + this.#added.length - this.#removed >= this.#maxJobs) {
      return this.#statements.exists.get(taskId, attempt, issue) ? 'present' : 'full';
    }
    const id = this.#lastId + this.#added.length + 1;
    if (this.#statements.insert.run(id, queue, taskId, attempt, issue, body).changes === 0) return 'present';
    this.#added.push({ queue, job: { id, body, returns: 0 } });
    return 'added';
  }

  /** For operations of the group commit. */
  remove(id: number): void {
    this.#removed += Number(this.#statements.remove.run(id).changes);
  }

  /** Puts a row aside that is no job, so that it is never delivered and yet not lost. For operations of the group commit. */
  park(id: number): void {
    this.#newlyParked += Number(this.#statements.park.run(this.store.clock.nowMs(), id).changes);
    this.remove(id);
  }

  begin(): void {
    this.#forget();
  }

  beforeCommit(): void {}

  committed(): void {
    this.#count += this.#added.length - this.#removed;
    this.#parked += this.#newlyParked;
    for (const { queue, job } of this.#added) this.lane(queue).add(job);
    this.#lastId = this.#added.at(-1)?.job.id ?? this.#lastId;
  }

  rolledBack(): void {
    this.#forget();
  }

  #forget(): void {
    if (this.#added.length > 0) this.#added = [];
    this.#removed = 0;
    this.#newlyParked = 0;
  }

  #page(queue: string, after: number, limit: number): WaitingJob[] {
    return this.#statements.page.all(after, queue, limit).map((row) => {
      const id = Number(row['id']);
      return { id, body: String(row['body']), returns: id <= this.#lastInheritedId ? 1 : 0 };
    });
  }
}

export function jobBody(job: Job): string {
  return JSON.stringify(job);
}

/** The job in a row, or null when it is none. */
export function parseJobBody(body: string): Job | null {
  let value: JsonValue;
  try {
    value = JSON.parse(body) as JsonValue;
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { taskId, attempt, issue, queue, type, typeVersion, payload, timeoutMs, expiresAtMs, traceparent } = value;
  if (typeof taskId !== 'string' || typeof queue !== 'string' || typeof type !== 'string' || payload === undefined) return null;
  if (!isCount(attempt) || !isCount(issue) || !isCount(typeVersion) || !isCount(timeoutMs)) return null;
  if (expiresAtMs !== null && typeof expiresAtMs !== 'number') return null;
  return { taskId, attempt, issue, queue, type, typeVersion, payload, timeoutMs, expiresAtMs, ...traceContextOf(traceparent) };
}

function isCount(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

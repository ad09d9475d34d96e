import { acceptTask, type TaskRequest } from '../domain/acceptance.ts';
import { hasCode } from '../domain/errors.ts';
import { instantText } from '../domain/instant.ts';
import type { TraceContext } from '../domain/trace-context.ts';
import { sha256Hex, taskIdForKey } from '../event-producer/event-id.ts';
import { recordDigest, type EventDraft, type EventProducer, type RecordedEvent } from '../event-producer/event-producer.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ids } from '../ports/ids.ts';
import type { Receipt } from '../task-definition/handle.ts';
import type { TaskCatalog } from '../task-definition/task-catalog.ts';
import { checkRequest, payloadTooLarge, type CheckedRequest, type RequestLimits } from './check-request.ts';
import { RecentKeys } from './recent-keys.ts';
import { refuse, unavailable, type Refusal, type RefusalCode, type Unavailable } from './refusal.ts';
import { RejectionLimit } from './rejection-limit.ts';
import { isIdempotencyKey, parseTaskRequest } from './task-request.ts';

export interface AcceptSettings extends RequestLimits {
  /** Idempotency keys remembered in memory; the oldest goes first. */
  readonly recentKeys: number;
  /** Rejections recorded for each client; what is beyond gets the same answer without an id. */
  readonly rejectionsPerSecond: number;
}

export interface Submission {
  /** The request as the client sent it: plain JSON, as `JSON.parse` gives it. Nothing of it is trusted. */
  readonly request: unknown;
  /** 1 to 255 printable ASCII characters. The same key is the same task. */
  readonly idempotencyKey?: string;
  /** The authenticated name, or `anonymous`. Stands in the record. */
  readonly submitter: string;
  /** Whose rejections are counted together: the authenticated name, else the address. */
  readonly client: string;
  /** Of the caller; the record carries it on. */
  readonly trace?: TraceContext;
}

export interface AcceptedTask {
  readonly type: 'accepted';
  readonly id: string;
  readonly taskType: string;
  readonly receipt: Receipt;
  /** Whether this is the first receipt of an earlier submission with the same key and content. */
  readonly replayed: boolean;
}

export type AcceptResult = AcceptedTask | Refusal | Unavailable;

const tenant = 'default';

/**
 * Takes submissions: check, then record `TaskAccepted`, then give the receipt. Nothing is answered as accepted
 * before the log acknowledged it. A crash after the append and before the answer leaves a task that will run and a
 * client that does not know; the same Idempotency-Key gives it the same task.
 */
export class AcceptTask {
  /** What happened since the start, for metrics. */
  readonly counts = { accepted: 0, replayed: 0, unavailable: 0, refused: new Map<RefusalCode, number>(), rejectionsNotRecorded: 0 };
  readonly #producer: EventProducer;
  readonly #catalog: TaskCatalog;
  readonly #ids: Ids;
  readonly #settings: AcceptSettings;
  readonly #queues: ReadonlySet<string>;
  readonly #recentKeys: RecentKeys<AcceptResult>;
  readonly #rejectionLimit: RejectionLimit;

  constructor(producer: EventProducer, catalog: TaskCatalog, clock: Clock, ids: Ids, settings: AcceptSettings) {
    this.#producer = producer;
    this.#catalog = catalog;
    this.#ids = ids;
    this.#settings = settings;
    this.#queues = catalog.queues;
    this.#recentKeys = new RecentKeys(settings.recentKeys);
    this.#rejectionLimit = new RejectionLimit(settings.rejectionsPerSecond, clock);
  }

  /**
   * Resolves with what became of the submission: expected results are values.
   * @throws what a task's schema throws, and what the appender throws outside its contract
   */
  async accept(submission: Submission): Promise<AcceptResult> {
    const result = await this.#decide(submission);
    this.#count(result);
    return result;
  }

  async #decide(submission: Submission): Promise<AcceptResult> {
    const { idempotencyKey } = submission;
    const parsed = parseTaskRequest(submission.request);
    if ('errors' in parsed) return refuse('invalid-request', 'The request has members that are wrong, missing or not known.', parsed.errors);
    if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey)) return badKey();
    const { request } = parsed;
    const checked = await checkRequest(request, this.#catalog, this.#settings);
    if (checked.type === 'refused') return this.#reject(checked, request, submission);
    const draft = this.#draft(request, checked, submission);
    if (draft.type === 'refused') return this.#reject(draft, request, submission);
    return idempotencyKey === undefined ? this.#append(draft) : this.#appendOnce(draft);
  }

  #draft(request: TaskRequest, { definition, typeVersion }: CheckedRequest, { idempotencyKey, submitter, trace }: Submission): EventDraft<'TaskAccepted'> | Refusal {
    const context = {
      submitter,
      queues: this.#queues,
      ...(idempotencyKey === undefined ? {} : { idempotencyKeyDigest: sha256Hex(idempotencyKey) }),
    };
    const acceptance = acceptTask(request, definition, context, sha256Hex);
    if ('violations' in acceptance) {
      const errors = acceptance.violations.map(({ pointer, rule }) => ({ pointer, detail: rule }));
      return refuse('options-invalid', 'The options break a rule.', errors, acceptance.violations);
    }
    const taskId = idempotencyKey === undefined ? this.#ids.uuidv7() : taskIdForKey(tenant, idempotencyKey);
    return { type: 'TaskAccepted', taskId, taskType: request.type, taskTypeVersion: typeVersion, tenant, data: acceptance.data, ...trace };
  }

  /** Submissions of one key share one append while it is in flight, and its receipt afterwards. */
  async #appendOnce(draft: EventDraft<'TaskAccepted'>): Promise<AcceptResult> {
    const { taskId, data } = draft;
    const known = this.#recentKeys.find(taskId);
    if (known && known.requestDigest !== data.requestDigest) return keyNamesAnotherRequest();
    if (known?.outcome) {
      const outcome = await known.outcome;
      return outcome.type === 'accepted' ? { ...outcome, replayed: true } : outcome;
    }
    // In memory before the log has it, or a second submission arriving meanwhile would append again. A failure
    // keeps the digest and forgets the outcome: the key stays bound to this request, and the next try appends.
    const entry = known ?? { requestDigest: data.requestDigest, outcome: null };
    if (!known) this.#recentKeys.remember(taskId, entry);
    const outcome = this.#append(draft);
    entry.outcome = outcome;
    try {
      const settled = await outcome;
      if (settled.type !== 'accepted') entry.outcome = null;
      return settled;
    } catch (error) {
      entry.outcome = null;
      throw error;
    }
  }

  async #append(draft: EventDraft<'TaskAccepted'>): Promise<AcceptResult> {
    try {
      const recorded = await this.#producer.record(draft);
      return { type: 'accepted', id: draft.taskId, taskType: draft.taskType ?? '', receipt: receiptOf(recorded, this.#producer.topic), replayed: false };
    } catch (error) {
      if (hasCode(error, 'log-rejected')) return payloadTooLarge(this.#settings.payloadLimitBytes);
      if (isUnavailable(error)) return unavailable();
      throw error;
    }
  }

  /** A refusal that is a fact becomes history before it is answered, within the client's share. */
  async #reject(refusal: Refusal, request: TaskRequest, { client, trace }: Submission): Promise<AcceptResult> {
    if (refusal.violations === null) return refusal;
    if (!this.#rejectionLimit.take(client)) {
      this.counts.rejectionsNotRecorded += 1;
      return refusal;
    }
    const { code, violations } = refusal;
    const known = code === 'unknown-type' ? null : this.#catalog.find(request.type, request.version);
    const taskTypeVersion = known ? (request.version ?? known.definition.version) : null;
    const id = this.#ids.uuidv7();
    try {
      await this.#producer.record({ type: 'TaskRejected', taskId: id, taskType: request.type, taskTypeVersion, tenant, data: { code, violations }, ...trace });
      return { ...refusal, id };
    } catch (error) {
      if (isUnavailable(error)) return unavailable();
      throw error;
    }
  }

  #count(result: AcceptResult): void {
    switch (result.type) {
      case 'accepted':
        this.counts[result.replayed ? 'replayed' : 'accepted'] += 1;
        break;
      case 'refused':
        this.counts.refused.set(result.code, (this.counts.refused.get(result.code) ?? 0) + 1);
        break;
      case 'unavailable':
        this.counts.unavailable += 1;
        break;
      default:
        result satisfies never;
    }
  }
}

/** The receipt of a record: what its holder can check against the log later. */
export function receiptOf({ eventId, record, timeMs, position }: RecordedEvent, topic: string): Receipt {
  const { partition, offset } = position;
  return { eventId, topic, partition, offset, sha256: recordDigest(record), acceptedAt: instantText(timeMs) };
}

/** The log may or may not have the record, or takes no more: the caller may try again. */
export function isUnavailable(error: unknown): boolean {
  return hasCode(error, 'log-unavailable') || hasCode(error, 'stopped');
}

function badKey(): Refusal {
  const detail = 'must be 1 to 255 printable ASCII characters';
  return refuse('invalid-request', `The Idempotency-Key ${detail}.`, [{ pointer: '/Idempotency-Key', detail }]);
}

function keyNamesAnotherRequest(): Refusal {
  return refuse('idempotency-mismatch', 'This Idempotency-Key was used for a request with other content. Use a new key for a new request.');
}

import { hasCode, messageOf } from '../../domain/errors.ts';
import type { Positions, StoredRecord } from '../../domain/log-record.ts';
import { sleep, type Clock } from '../../ports/clock.ts';
import type { EventCursor } from '../../ports/event-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PresenceReader } from '../../ports/presence-reader.ts';
import type { Heartbeat } from '../../domain/heartbeat.ts';
import { decodeHeartbeat, type NumberedHeartbeat } from './heartbeat-json.ts';
import { settlesWithin } from './kafka-connection.ts';
import { KafkaEventReader } from './kafka-event-reader.ts';
import { createPresenceTopic, presenceTopicOf, type PresenceTopicOptions } from './presence-topic.ts';

export interface KafkaPresenceReaderOptions extends PresenceTopicOptions {
  /** After so long without a heartbeat a worker is gone; it makes three in this time. */
  readonly presenceMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const pauseMs = 500;
const maxRecords = 1_000;
/** Of workers whose last heartbeat is remembered; beyond it the one that was heard least recently is forgotten. */
const maxWorkers = 10_000;

/**
 * Reads the presence topic from its end on, without a group, and goes on from where it was when Kafka was away. What
 * a topic that was deleted and created anew holds before it is found is not told.
 *
 * It is current when an end that the brokers named less than a heartbeat ago (a third of `presenceMs`) was reached,
 * and it has heard everything for one `presenceMs` before: no worker that lives can be unheard then. A writer sends a
 * heartbeat within some seven seconds or never, so with the default of 15 s, what is told while the reader is current
 * was made less than one `presenceMs` ago.
 */
export class KafkaPresenceReader implements PresenceReader {
  readonly #options: KafkaPresenceReaderOptions;
  readonly #stopping = new AbortController();
  readonly #newest = new Map<string, { readonly startedAtMs: number; readonly sequence: number }>();
  #reader: KafkaEventReader | null = null;
  #running: Promise<void> | null = null;
  #tell: (heartbeat: Heartbeat) => void = () => {};
  /** Everything that was published from here on was told, up to `#toldUpToMs`; monotonic. */
  #toldFromMs = Infinity;
  #toldUpToMs = -Infinity;
  /** An end that was named and is not reached yet. */
  #ahead: { readonly end: Positions; readonly askedMs: number } | null = null;
  #problem: string | null = 'it was not started';
  /** Whether a failure would be news to the operator. */
  #isSound = true;

  constructor(options: KafkaPresenceReaderOptions) {
    this.#options = options;
  }

  start(onHeartbeat: (heartbeat: Heartbeat) => void): void {
    if (this.#running || this.#stopping.signal.aborted) return;
    this.#tell = onHeartbeat;
    this.#problem = 'Kafka has not answered yet';
    this.#running = this.#run();
  }

  isCurrent(): boolean {
    const { clock, presenceMs } = this.#options;
    const isFresh = clock.monotonicMs() - this.#toldUpToMs < presenceMs / 3;
    return isFresh && this.#toldUpToMs - this.#toldFromMs >= presenceMs && !this.#stopping.signal.aborted;
  }

  /** For people: never a reason not to be ready, because without presence only the search for lost jobs rests. */
  health(): { readonly ok: true; readonly detail: string } {
    const { topic } = this.#options;
    const detail = this.#problem === null ? `${this.isCurrent() ? 'hears' : 'begins to hear'} the workers` : `does not hear the workers: ${this.#problem}`;
    return { ok: true, detail: `${presenceTopicOf(topic)}: ${detail}` };
  }

  /** Settles within a few seconds, also while Kafka is silent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#reader?.close();
    if (this.#running) await settlesWithin(this.#running, 1_000);
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#listen();
      } catch (error) {
        await this.#meet(error);
      }
    }
  }

  /** Rejects when the topic is another one, or has lost what was not read: what was missed then is not told. */
  async #listen(): Promise<void> {
    const { connection, topic, clock, logger } = this.#options;
    await createPresenceTopic(this.#options);
    if (this.#stopping.signal.aborted) return;
    this.#reader = new KafkaEventReader({ connection, topic: presenceTopicOf(topic), logger });
    try {
      const cursor = this.#reader.openCursor(await this.#reader.endPositions());
      this.#toldFromMs = clock.monotonicMs();
      this.#recover();
      await this.#follow(this.#reader, cursor);
    } finally {
      this.#toldFromMs = Infinity;
      this.#ahead = null;
      await this.#reader.close();
    }
  }

  async #follow(reader: KafkaEventReader, cursor: EventCursor): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        // It may have been deleted: the cursor would wait for it without end.
        if (this.#problem !== null) await createPresenceTopic(this.#options);
        await this.#advance(reader, cursor);
        this.#recover();
      } catch (error) {
        if (!hasCode(error, 'log-unavailable')) throw error;
        await this.#meet(error);
      }
    }
  }

  async #advance(reader: KafkaEventReader, cursor: EventCursor): Promise<void> {
    const { presenceMs, clock } = this.#options;
    const askEveryMs = presenceMs / 9;
    this.#tellAll(await cursor.next({ maxRecords, waitMs: askEveryMs }));
    const nowMs = clock.monotonicMs();
    if (!this.#ahead && nowMs - this.#toldUpToMs >= askEveryMs) this.#ahead = { end: await reader.endPositions(), askedMs: nowMs };
    if (!this.#ahead || !reaches(cursor.positions(), this.#ahead.end)) return;
    this.#toldUpToMs = this.#ahead.askedMs;
    this.#ahead = null;
  }

  #tellAll(records: readonly StoredRecord[]): void {
    if (this.#stopping.signal.aborted) return;
    const decoded = records.map(({ value }) => decodeHeartbeat(value));
    for (const each of decoded) if (each && this.#isNews(each)) this.#tell(each.heartbeat);
    const unreadable = records.filter((_, index) => !decoded[index]);
    if (unreadable.length === 0) return;
    const { topic, logger } = this.#options;
    logger.warn({ topic: presenceTopicOf(topic), offset: unreadable[0]?.offset, records: unreadable.length }, 'records on the presence topic are no heartbeats: passed over');
  }

  /** A broker that was silent may store late what its writer had given up, behind something newer. */
  #isNews({ heartbeat: { workerId, startedAtMs }, sequence }: NumberedHeartbeat): boolean {
    const newest = this.#newest.get(workerId);
    if (newest?.startedAtMs === startedAtMs && newest.sequence >= sequence) return false;
    this.#newest.delete(workerId);
    this.#newest.set(workerId, { startedAtMs, sequence });
    const [oldest] = this.#newest.keys();
    if (this.#newest.size > maxWorkers && oldest !== undefined) this.#newest.delete(oldest);
    return true;
  }

  async #meet(error: unknown): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { topic, clock, logger } = this.#options;
    if (this.#isSound) logger.warn({ topic: presenceTopicOf(topic), error }, 'the heartbeats of workers cannot be read: no job is presumed lost until they can');
    this.#isSound = false;
    this.#problem = messageOf(error);
    await sleep(clock, pauseMs, this.#stopping.signal);
  }

  #recover(): void {
    const { topic, logger } = this.#options;
    if (!this.#isSound) logger.info({ topic: presenceTopicOf(topic) }, 'the heartbeats of workers can be read again');
    this.#isSound = true;
    this.#problem = null;
  }
}

function reaches(positions: Positions, end: Positions): boolean {
  return [...end].every(([partition, offset]) => (positions.get(partition) ?? 0) >= offset);
}

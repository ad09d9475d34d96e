import type { ConfirmChannel, Options } from 'amqplib';
import type { DependencyHealth } from '../../ports/service.ts';
import { answeredWithin } from './answered-within.ts';
import { messageOf, RabbitmqLink, type LinkSession, type RabbitmqLinkOptions } from './rabbitmq-link.ts';

export interface Publication {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly properties: Options.Publish;
  /** Asked right before it is written: what to answer instead, or null. */
  readonly refusal?: () => PublishOutcome | null;
}

/** As the sender's outcomes; `returned` beside `refused`, because the former says that a queue is missing. */
export type PublishOutcome =
  | { readonly type: 'confirmed' }
  | { readonly type: 'returned' | 'refused' | 'not-sent' | 'unknown'; readonly detail: string };

export interface RabbitmqPublisherOptions extends RabbitmqLinkOptions {
  /** A published message without an answer for so long is `unknown`; default 10 s. */
  readonly confirmDeadlineMs?: number;
  /** A message that could not be written for so long (no connection, blocked, window full) is `not-sent`; default 2 s. */
  readonly writeDeadlineMs?: number;
  /** Published messages without an answer; default 500. */
  readonly maxOutstanding?: number;
  /** Their bodies together; default 32 MiB. */
  readonly maxOutstandingBytes?: number;
  /** Messages that wait to be written, default 10,000. A further one is `not-sent`. */
  readonly maxWaiting?: number;
  /** Runs on each new connection before anything is published on it. When it throws, the connection is given up. */
  readonly prepare?: (session: LinkSession) => Promise<void>;
}

interface Entry {
  readonly publication: Publication;
  readonly settle: (outcome: PublishOutcome) => void;
  /** When it began to wait; once written: when it was written. */
  sinceMs: number;
  /** Why the broker sent it back. A returned message is confirmed all the same, afterwards. */
  returned: string | null;
}

const sweepsPerDeadline = 20;
const shortestSweepMs = 10;

/**
 * Publishes persistent messages and learns what became of each. `confirmed` means routed to a queue and safe there.
 *
 * Nothing is ever published twice by itself: a message whose answer was lost with its channel is `unknown`, and the
 * caller decides. The broker confirms quorum queues in groups, so many messages on their way cost it less than few.
 */
export class RabbitmqPublisher {
  readonly #options: RabbitmqPublisherOptions;
  readonly #limits: Required<Pick<RabbitmqPublisherOptions, 'confirmDeadlineMs' | 'writeDeadlineMs' | 'maxOutstanding' | 'maxOutstandingBytes' | 'maxWaiting'>>;
  readonly #link: RabbitmqLink;
  #open: OpenChannel | null = null;
  #waiting: Entry[] = [];
  /** By a number of this process, oldest first. */
  readonly #outstanding = new Map<number, Entry>();
  #outstandingBytes = 0;
  #sequence = 0;
  #pumpingSoon = false;
  #sweeping = false;
  #closing: Promise<void> | null = null;
  #onSettled: (() => void) | null = null;

  constructor(options: RabbitmqPublisherOptions) {
    const { confirmDeadlineMs = 10_000, writeDeadlineMs = 2_000, maxOutstanding = 500, maxOutstandingBytes = 32 * 1024 * 1024, maxWaiting = 10_000 } = options;
    this.#options = options;
    this.#limits = { confirmDeadlineMs, writeDeadlineMs, maxOutstanding, maxOutstandingBytes, maxWaiting };
    this.#link = new RabbitmqLink(options, {
      onOpened: (session) => void this.#begin(session),
      onUnblocked: () => this.#pump(),
    });
  }

  /** Null while nothing can be published. */
  get session(): LinkSession | null {
    return this.#open?.session ?? null;
  }

  health(): DependencyHealth {
    return this.#link.health();
  }

  /** Never rejects. */
  publish(publication: Publication): Promise<PublishOutcome> {
    if (this.#closing) return Promise.resolve({ type: 'not-sent', detail: 'The connection to RabbitMQ was closed by this process' });
    if (this.#waiting.length >= this.#limits.maxWaiting) {
      return Promise.resolve({ type: 'not-sent', detail: `${this.#waiting.length} messages wait for RabbitMQ already: ${this.#whyWaiting()}` });
    }
    return new Promise((settle) => {
      this.#waiting.push({ publication, settle, sinceMs: this.#options.clock.monotonicMs(), returned: null });
      this.#pump();
      this.#armSweep();
    });
  }

  /** Takes nothing more, waits for the answers that are due, at most their deadline, and closes. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#giveUpWaiting(Infinity);
    if (this.#open && this.#outstanding.size > 0) await new Promise<void>((resolve) => (this.#onSettled = resolve));
    await this.#link.close();
  }

  async #begin(session: LinkSession): Promise<void> {
    try {
      const { clock, prepare, answerDeadlineMs = 5_000 } = this.#options;
      const channel = await answeredWithin(clock, answerDeadlineMs, 'the opening of a channel', session.connection.createConfirmChannel());
      const open: OpenChannel = { session, channel, full: false, unanswered: 0, lastAnswerMs: clock.monotonicMs() };
      this.#listen(open);
      await prepare?.(session);
      if (session.lost.aborted) return;
      this.#open = open;
      this.#pump();
    } catch (error) {
      session.fail(messageOf(error));
    }
  }

  #listen(open: OpenChannel): void {
    const { session, channel } = open;
    // It closes without an error only when its connection does, which tells the reason better.
    channel.on('error', (error) => session.fail(messageOf(error)));
    channel.on('drain', () => {
      open.full = false;
      this.#pump();
    });
    channel.on('return', ({ fields, properties }) => {
      const entry = this.#outstanding.get(Number(properties.correlationId));
      // replyText of basic.return, such as NO_ROUTE.
      if (entry) entry.returned = 'replyText' in fields ? String(fields.replyText) : 'no queue takes it';
    });
    session.lost.addEventListener('abort', () => {
      this.#open = null;
      this.#answerAll(`The connection was lost before RabbitMQ answered: ${String(session.lost.reason)}`);
    });
  }

  /** Writes what may be written now. */
  #pump(): void {
    const { maxOutstanding, maxOutstandingBytes } = this.#limits;
    let taken = 0;
    for (const entry of this.#waiting) {
      const open = this.#open;
      if (!open || open.full || open.session.blocked !== null || this.#outstanding.size >= maxOutstanding) break;
      if (this.#outstanding.size > 0 && this.#outstandingBytes + entry.publication.body.length > maxOutstandingBytes) break;
      taken += 1;
      const refusal = entry.publication.refusal?.();
      if (refusal) entry.settle(refusal);
      else this.#write(open, entry);
    }
    if (taken > 0) this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken);
  }

  /** Once for all the messages that one frame confirms. */
  #pumpSoon(): void {
    if (this.#pumpingSoon || this.#waiting.length === 0) return;
    this.#pumpingSoon = true;
    queueMicrotask(() => {
      this.#pumpingSoon = false;
      this.#pump();
    });
  }

  #write(open: OpenChannel, entry: Entry): void {
    const { exchange, routingKey, body, properties } = entry.publication;
    const sequence = ++this.#sequence;
    const options = { ...properties, mandatory: true, persistent: true, correlationId: String(sequence) };
    this.#outstanding.set(sequence, entry);
    this.#outstandingBytes += body.length;
    entry.sinceMs = this.#options.clock.monotonicMs();
    try {
      open.full = !open.channel.publish(exchange, routingKey, body, options, (error: Error | null) => this.#answered(open, sequence, error));
    } catch (error) {
      // Thrown while encoding, or because the channel has just closed: before the first byte was written.
      this.#answer(sequence, { type: 'not-sent', detail: `The message could not be written: ${messageOf(error)}` });
    }
  }

  #answered(open: OpenChannel, sequence: number, error: Error | null): void {
    open.lastAnswerMs = this.#options.clock.monotonicMs();
    const entry = this.#outstanding.get(sequence);
    if (!entry) return;
    if (error === null) {
      const { returned } = entry;
      this.#answer(sequence, returned === null ? { type: 'confirmed' } : { type: 'returned', detail: `RabbitMQ sent it back: ${returned}` });
    } else if (error.message === 'message nacked') {
      this.#answer(sequence, { type: 'refused', detail: 'RabbitMQ refused it: the queue is full or cannot be reached' });
    } else {
      this.#answer(sequence, { type: 'unknown', detail: `The channel ended before RabbitMQ answered: ${error.message}` });
    }
    this.#pumpSoon();
  }

  #answer(sequence: number, outcome: PublishOutcome): void {
    const entry = this.#outstanding.get(sequence);
    if (!entry) return;
    this.#outstanding.delete(sequence);
    this.#outstandingBytes -= entry.publication.body.length;
    entry.settle(outcome);
    if (this.#outstanding.size === 0) this.#onSettled?.();
  }

  #answerAll(detail: string): void {
    for (const sequence of [...this.#outstanding.keys()]) this.#answer(sequence, { type: 'unknown', detail });
  }

  /** One timer for all messages; it runs only while there are any. */
  #armSweep(): void {
    if (this.#sweeping || (this.#waiting.length === 0 && this.#outstanding.size === 0)) return;
    this.#sweeping = true;
    const { confirmDeadlineMs, writeDeadlineMs } = this.#limits;
    const everyMs = Math.max(shortestSweepMs, Math.min(confirmDeadlineMs, writeDeadlineMs) / sweepsPerDeadline);
    this.#options.clock.setTimer(everyMs, () => {
      this.#sweeping = false;
      const nowMs = this.#options.clock.monotonicMs();
      this.#giveUpWaiting(nowMs - this.#limits.writeDeadlineMs);
      this.#giveUpOutstanding(nowMs);
      this.#armSweep();
    });
  }

  #giveUpWaiting(sinceMs: number): void {
    const end = this.#waiting.findIndex((entry) => entry.sinceMs > sinceMs);
    const late = end < 0 ? this.#waiting : this.#waiting.slice(0, end);
    if (late.length === 0) return;
    this.#waiting = end < 0 ? [] : this.#waiting.slice(end);
    for (const entry of late) entry.settle({ type: 'not-sent', detail: this.#whyWaiting() });
  }

  #giveUpOutstanding(nowMs: number): void {
    const { confirmDeadlineMs, maxOutstanding } = this.#limits;
    const open = this.#open;
    let late = 0;
    for (const [sequence, entry] of this.#outstanding) {
      if (entry.sinceMs > nowMs - confirmDeadlineMs) break;
      late += 1;
      this.#answer(sequence, { type: 'unknown', detail: `RabbitMQ did not answer within ${confirmDeadlineMs} ms` });
    }
    if (!open || late === 0) return;
    open.unanswered += late;
    // Blocked, it is silent by intention. Otherwise a channel that says nothing at all, or that lets one lane without
    // a leader pile up what the client keeps for it, is made anew.
    const silent = nowMs - open.lastAnswerMs >= confirmDeadlineMs && open.session.blocked === null;
    if (silent || open.unanswered > maxOutstanding) open.session.fail(`RabbitMQ did not answer publishes within ${confirmDeadlineMs} ms`);
    this.#pump();
  }

  #whyWaiting(): string {
    if (this.#closing) return 'The connection to RabbitMQ was closed by this process';
    const { ok, detail } = this.#link.health();
    if (!ok) return `Nothing can be sent to RabbitMQ at ${detail}`;
    return this.#open ? `RabbitMQ confirms too slowly: ${this.#outstanding.size} messages await its answer` : `RabbitMQ at ${detail}, but not ready yet`;
  }
}

interface OpenChannel {
  readonly session: LinkSession;
  readonly channel: ConfirmChannel;
  /** The client's write buffer is; it says when it has drained. */
  full: boolean;
  /** Publishes that were given up without an answer. */
  unanswered: number;
  lastAnswerMs: number;
}

import { connect, type ChannelModel, type SocketOptions } from 'amqplib';
import { DaybookError } from '../../domain/errors.ts';
import { sleep, type Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { DependencyHealth } from '../../ports/service.ts';
import { tlsAdvice } from '../../ports/tls-advice.ts';
import { answeredWithin } from './answered-within.ts';

export interface RabbitmqLinkOptions {
  /** `amqp://` or `amqps://user:password@host:port/vhost`. */
  readonly url: string;
  /** Certificate authorities (PEM) to trust for `amqps`; default: those that Node trusts. */
  readonly ca?: string | Buffer;
  /** What the broker's lists show for the connection, such as `daybook dispatcher`. */
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A silent peer is given up after two to three of these; default 10 s. Whole seconds. */
  readonly heartbeatSeconds?: number;
  /** For connecting and logging in, and for each request on the connection; default 5 s. */
  readonly answerDeadlineMs?: number;
  /** The longest pause between two tries to connect; default 5 s. The first is a 25th of it. */
  readonly longestPauseMs?: number;
}

/** One connection, from its opening to its loss. What belongs to it (channels, deliveries) dies with it. */
export interface LinkSession {
  /** Grows with every connection, from 1. */
  readonly generation: number;
  readonly connection: ChannelModel;
  /** Aborts, with the reason, when the connection is gone. */
  readonly lost: AbortSignal;
  /** Why the broker takes no messages now (a memory or disk alarm); null: it does. */
  readonly blocked: string | null;
  /** Gives the connection up at once, without a word to the broker, and lets a new one be made. */
  fail(reason: string): void;
}

export interface LinkEvents {
  onOpened(session: LinkSession): void;
  onUnblocked?(): void;
}

const closeDeadlineMs = 1_000;

/**
 * A connection to RabbitMQ that is made again whenever it is lost, until it is closed. It starts with the
 * construction. Publishing and consuming take one each: an alarm in the broker stops every connection that publishes.
 */
export class RabbitmqLink {
  readonly #options: RabbitmqLinkOptions;
  readonly #events: LinkEvents;
  readonly #address: string;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #generation = 0;
  #session: Session | null = null;
  #problem: string | null = 'not connected yet';
  #dropSocket: () => void = () => {};
  readonly #waiting = new Set<() => void>();

  constructor(options: RabbitmqLinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#address = new URL(options.url).host;
    this.#running = this.#run();
  }

  /** Null while there is no connection. */
  get session(): LinkSession | null {
    return this.#session;
  }

  /** The present session, or the next one; null when the signal aborts, or the link is closed, before there is one. */
  async nextSession(signal: AbortSignal): Promise<LinkSession | null> {
    while (!this.#session && !signal.aborted && !this.#stopping.signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
    return this.#session;
  }

  health(): DependencyHealth {
    const problem = this.#problem ?? (this.#session?.blocked ? `blocked by the broker: ${this.#session.blocked}` : null);
    return { name: 'rabbitmq', ok: problem === null, detail: `${this.#address}: ${problem ?? 'connected'}` };
  }

  /** Closes the connection in good order if the broker answers within a second, else at once. Idempotent. */
  async close(): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#stopping.abort();
      const { clock } = this.#options;
      await this.#session?.close((closed) => answeredWithin(clock, closeDeadlineMs, 'the closing of the connection', closed));
      this.#dropSocket();
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, longestPauseMs = 5_000 } = this.#options;
    const shortestPauseMs = longestPauseMs / 25;
    let pauseMs = shortestPauseMs;
    while (!this.#stopping.signal.aborted) {
      const startedMs = clock.monotonicMs();
      this.#noteProblem(await this.#connectAndStay());
      // A connection that lasted was no failed try.
      if (clock.monotonicMs() - startedMs > 2 * longestPauseMs) pauseMs = shortestPauseMs;
      await sleep(clock, pauseMs * (0.5 + Math.random() / 2), this.#stopping.signal);
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    }
    this.#wakeWaiting();
  }

  /** Resolves with the reason when there is no connection, or no longer. */
  async #connectAndStay(): Promise<string> {
    const lost = new AbortController();
    this.#dropSocket = () => lost.abort('closed by this process');
    try {
      const connection = await this.#connect(lost.signal);
      const session = new Session(++this.#generation, connection, lost, () => this.#events.onUnblocked?.());
      refuseOldBroker(connection);
      if (this.#stopping.signal.aborted) throw new DaybookError('stopped', 'closed by this process');
      this.#begin(session);
      return await session.gone;
    } catch (error) {
      // Also takes a connection down that opened and cannot be used.
      lost.abort(messageOf(error));
      return withAdvice(error, this.#options.url);
    } finally {
      this.#session = null;
    }
  }

  #connect(lost: AbortSignal): Promise<ChannelModel> {
    const { url, ca, name, heartbeatSeconds = 10, answerDeadlineMs = 5_000 } = this.#options;
    const target = new URL(url);
    // The client reads it from the URL only.
    target.searchParams.set('heartbeat', String(heartbeatSeconds));
    const socketOptions: SocketOptions & { readonly signal: AbortSignal } = {
      timeout: answerDeadlineMs,
      noDelay: true,
      keepAlive: true,
      clientProperties: { connection_name: name },
      // Reaches the socket: aborting destroys it, also when the peer takes no bytes any more and a close would wait.
      signal: lost,
      ...(ca === undefined ? {} : { ca }),
    };
    return connect(target.href, socketOptions);
  }

  #begin(session: Session): void {
    this.#session = session;
    this.#problem = null;
    this.#options.logger.info({ rabbitmq: this.#address, connection: this.#options.name }, 'connected to RabbitMQ');
    this.#events.onOpened(session);
    this.#wakeWaiting();
  }

  #noteProblem(reason: string): void {
    if (this.#stopping.signal.aborted) reason = 'closed by this process';
    else if (reason !== this.#problem) {
      this.#options.logger.warn({ rabbitmq: this.#address, connection: this.#options.name, reason }, 'no connection to RabbitMQ: trying again');
    }
    this.#problem = reason;
  }

  #wakeWaiting(): void {
    for (const wake of this.#waiting) wake();
  }
}

class Session implements LinkSession {
  readonly generation: number;
  readonly connection: ChannelModel;
  readonly lost: AbortSignal;
  /** Resolves with the reason when the connection is gone. */
  readonly gone: Promise<string>;
  readonly #lost: AbortController;
  #blocked: string | null = null;
  #lastError: Error | null = null;

  constructor(generation: number, connection: ChannelModel, lost: AbortController, onUnblocked: () => void) {
    this.generation = generation;
    this.connection = connection;
    this.lost = lost.signal;
    this.#lost = lost;
    this.gone = new Promise((resolve) => {
      lost.signal.addEventListener('abort', () => resolve(String(lost.signal.reason)), { once: true });
    });
    // An `error` without a listener would end the process. `close` follows it, and also comes alone.
    connection.on('error', (error) => (this.#lastError = error));
    connection.on('close', (error) => this.fail(messageOf(error ?? this.#lastError ?? 'the connection was closed')));
    connection.on('blocked', (reason) => (this.#blocked = reason));
    connection.on('unblocked', () => {
      this.#blocked = null;
      onUnblocked();
    });
  }

  get blocked(): string | null {
    return this.#blocked;
  }

  fail(reason: string): void {
    this.#lost.abort(reason);
  }

  /** Says goodbye; whatever comes of it within the bound, the connection is gone then. */
  async close(within: (closed: Promise<void>) => Promise<void>): Promise<void> {
    try {
      await within(Promise.race([this.connection.close(), this.gone.then(() => undefined)]));
    } catch {
      // It was gone already, or the broker does not answer; the socket is destroyed next.
    }
    this.fail('closed by this process');
  }
}

/** The oldest broker that this was run against. Older ones lack delivery limits and dead-lettering at least once. */
function refuseOldBroker({ connection: { serverProperties } }: ChannelModel): void {
  const [major = 0, minor = 0] = String(serverProperties.version).split('.').map(Number);
  if (major > 3 || (major === 3 && minor >= 10)) return;
  throw new DaybookError('configuration-invalid', `RabbitMQ ${serverProperties.version} is too old: Daybook needs 3.10 or newer. Upgrade the broker`);
}

/** Why there is no connection, and the setting to look at. Never the URL: it holds the password. */
function withAdvice(error: unknown, url: string): string {
  const message = messageOf(error);
  const advice = /ACCESS[-_]REFUSED/.test(message)
    ? 'look at the name and the password in DAYBOOK_RABBITMQ_URL'
    : tlsAdvice(error, { address: 'DAYBOOK_RABBITMQ_URL', authority: 'DAYBOOK_RABBITMQ_CA_FILE', tls: 'amqps:// in DAYBOOK_RABBITMQ_URL' });
  if (advice !== null) return `${message}; ${advice}`;
  // What a TLS listener makes of plain bytes, but also what a broker does that goes down.
  const wasCut = url.startsWith('amqp:') && /ECONNRESET|closed abruptly/.test(message);
  return wasCut ? `${message}; if the broker speaks TLS there, write amqps:// in DAYBOOK_RABBITMQ_URL` : message;
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Of several addresses of one name, each with its own failure, the message is empty.
  return error.message || ('code' in error ? String(error.code) : error.name);
}

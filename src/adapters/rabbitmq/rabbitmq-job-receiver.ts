import { sleep } from '../../ports/clock.ts';
import type { JobConsumer, JobDelivery, JobReceiver } from '../../ports/job-receiver.ts';
import type { DependencyHealth } from '../../ports/service.ts';
import { DeliveryChannel, idleReason } from './delivery-channel.ts';
import { ParkingPlace } from './parking-place.ts';
import { messageOf, RabbitmqLink, type LinkSession, type RabbitmqLinkOptions } from './rabbitmq-link.ts';
import { RabbitmqNames } from './rabbitmq-topology.ts';

export interface RabbitmqJobReceiverOptions extends RabbitmqLinkOptions {
  readonly topic: string;
  /** A consumer that holds nothing and receives nothing for so long attaches anew; default 15 s. */
  readonly idleMs?: number;
}

/**
 * Consumes jobs from RabbitMQ. It declares nothing: it waits for a queue that is not there, also for one that was
 * deleted under it. It connects at once and keeps connected until closed.
 */
export class RabbitmqJobReceiver implements JobReceiver {
  readonly #options: RabbitmqJobReceiverOptions;
  readonly #names: RabbitmqNames;
  readonly #link: RabbitmqLink;
  readonly #parking: ParkingPlace;
  readonly #consumers = new Set<RabbitmqJobConsumer>();

  constructor(options: RabbitmqJobReceiverOptions) {
    this.#options = options;
    this.#names = new RabbitmqNames(options.topic);
    this.#link = new RabbitmqLink(options, { onOpened: () => undefined });
    this.#parking = new ParkingPlace(options, this.#names);
  }

  /** Messages that were no jobs, put aside by this process in the queue `parked`. */
  get parked(): number {
    return this.#parking.parked;
  }

  /** Queues that somebody wants to consume and that do not deliver yet: not declared, or no connection. */
  get awaitedQueues(): readonly string[] {
    return [...this.#consumers].filter((consumer) => consumer.isWaiting).map(({ queue }) => queue);
  }

  consume(queue: string, prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer {
    return this.#consume({ queue, queueName: this.#names.laneQueue(queue), isDeadLetters: false }, prefetch, deliver);
  }

  consumeDeadLetters(prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer {
    const queueName = this.#names.shelfQueue('dead');
    return this.#consume({ queue: queueName, queueName, isDeadLetters: true }, prefetch, deliver);
  }

  /** A queue that is awaited is no fault: the dispatcher declares it. */
  health(): DependencyHealth {
    const { name, ok, detail } = this.#link.health();
    const awaited = this.awaitedQueues;
    return { name, ok, detail: ok && awaited.length > 0 ? `${detail}; waits for the queues ${awaited.join(', ')}` : detail };
  }

  /** Stops every consumer and closes the connections. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()));
    await Promise.all([this.#parking.close(), this.#link.close()]);
  }

  #consume({ queue, queueName, isDeadLetters }: Source, prefetch: number, deliver: (delivery: JobDelivery) => void): JobConsumer {
    const consumer = new RabbitmqJobConsumer({
      queue,
      nextSession: (signal) => this.#link.nextSession(signal),
      openChannel: (session, consuming) =>
        DeliveryChannel.open(session, consuming, {
          clock: this.#options.clock,
          queueName,
          isDeadLetters,
          prefetch,
          deliver,
          park: (message, ended) => this.#parking.park(queue, message, ended),
          answerDeadlineMs: this.#options.answerDeadlineMs ?? 5_000,
          idleMs: this.#options.idleMs ?? 15_000,
        }),
      onStopped: () => this.#consumers.delete(consumer),
    }, this.#options);
    this.#consumers.add(consumer);
    return consumer;
  }
}

/** What a consumer receives from. */
interface Source {
  /** For people, and for what is parked: the lane's name in Daybook; dead letters belong to none. */
  readonly queue: string;
  /** In the broker. */
  readonly queueName: string;
  readonly isDeadLetters: boolean;
}

interface ConsumerParts {
  readonly queue: string;
  readonly nextSession: (signal: AbortSignal) => Promise<LinkSession | null>;
  readonly openChannel: (session: LinkSession, consuming: boolean) => Promise<DeliveryChannel>;
  readonly onStopped: () => void;
}

const shortestPauseMs = 100;
/** Each try for a queue that is not there costs the broker a log line. */
const longestPauseMs = 2_000;

/** Opens a channel after the other, as long as it runs: on the next connection, or when the queue is there again. */
class RabbitmqJobConsumer implements JobConsumer {
  readonly queue: string;
  readonly #parts: ConsumerParts;
  readonly #options: RabbitmqJobReceiverOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #channel: DeliveryChannel | null = null;
  #paused = false;
  #lastProblem: string | null = null;

  constructor(parts: ConsumerParts, options: RabbitmqJobReceiverOptions) {
    this.queue = parts.queue;
    this.#parts = parts;
    this.#options = options;
    this.#running = this.#run();
  }

  get isWaiting(): boolean {
    return !this.#paused && !this.#stopping.signal.aborted && this.#channel?.attached !== true;
  }

  pause(): void {
    this.#paused = true;
    this.#channel?.setConsuming(false);
  }

  resume(): void {
    this.#paused = false;
    this.#channel?.setConsuming(true);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#channel?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let pauseMs = shortestPauseMs;
    for (;;) {
      const session = await this.#parts.nextSession(signal);
      if (!session || signal.aborted) break;
      const end = await this.#consumeOn(session);
      if (signal.aborted) break;
      if (end.attached) pauseMs = shortestPauseMs;
      if (end.reason === idleReason) continue;
      this.#noteProblem(end.reason);
      await sleep(this.#options.clock, pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    }
    this.#parts.onStopped();
  }

  /** Resolves when the channel is over, with the reason and whether it came to consuming. Never rejects. */
  async #consumeOn(session: LinkSession): Promise<{ readonly reason: string; readonly attached: boolean }> {
    try {
      const channel = await this.#parts.openChannel(session, !this.#paused);
      this.#channel = channel;
      // Either may have been called while it opened.
      if (this.#stopping.signal.aborted) await channel.close();
      channel.setConsuming(!this.#paused);
      return { reason: await channel.ended, attached: channel.attachedOnce };
    } catch (error) {
      return { reason: messageOf(error), attached: false };
    } finally {
      this.#channel = null;
    }
  }

  #noteProblem(reason: string): void {
    if (reason === this.#lastProblem) return;
    this.#lastProblem = reason;
    this.#options.logger.info({ queue: this.queue, reason }, 'not consuming: trying again');
  }
}

import type { ConsumeMessage } from 'amqplib';
import { instantText } from '../../domain/instant.ts';
import { sleep } from '../../ports/clock.ts';
import { RabbitmqPublisher, type RabbitmqPublisherOptions } from './rabbitmq-publisher.ts';
import type { RabbitmqNames } from './rabbitmq-topology.ts';

const shortestPauseMs = 200;
const longestPauseMs = 10_000;
const longestHeaderBytes = 200;

/**
 * Moves messages that are no jobs to the queue `parked`, where people can look at them. It has a connection of its
 * own, made for the first such message: an alarm that stops publishers must not stop the consumers.
 */
export class ParkingPlace {
  readonly #options: RabbitmqPublisherOptions;
  readonly #names: RabbitmqNames;
  #publisher: RabbitmqPublisher | null = null;
  #parked = 0;
  #closed = false;

  constructor(options: RabbitmqPublisherOptions, names: RabbitmqNames) {
    this.#options = options;
    this.#names = names;
  }

  /** Messages that were put aside by this process. */
  get parked(): number {
    return this.#parked;
  }

  /**
   * Resolves with true when the message is safe in `parked`; tries until then, with growing pauses, or until the
   * signal aborts (false). Meanwhile the message stands unacknowledged and takes a place of its consumer's prefetch.
   */
  async park(queue: string, message: ConsumeMessage, ended: AbortSignal): Promise<boolean> {
    const { clock, logger } = this.#options;
    const publication = {
      exchange: this.#names.shelfExchange,
      routingKey: 'parked',
      body: message.content,
      properties: this.#propertiesOf(queue, message),
    };
    for (let pauseMs = shortestPauseMs; !ended.aborted && !this.#closed; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      this.#publisher ??= new RabbitmqPublisher({ ...this.#options, name: `${this.#options.name} parking` });
      const outcome = await this.#publisher.publish(publication);
      if (outcome.type === 'confirmed') {
        this.#parked += 1;
        logger.warn({ queue, bytes: message.content.length, parkedIn: this.#names.shelfQueue('parked') }, 'a message that is no job was parked');
        return true;
      }
      logger.warn({ queue, bytes: message.content.length, reason: outcome.detail }, 'a message that is no job cannot be parked yet');
      await sleep(clock, pauseMs, ended);
    }
    return false;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#publisher?.close();
  }

  /** What it was sent with, as far as a broker takes it back, and where it stood. */
  #propertiesOf(queue: string, { properties }: ConsumeMessage) {
    const { contentType, messageId, type } = properties;
    return {
      ...(isShortText(contentType) ? { contentType } : {}),
      ...(isShortText(messageId) ? { messageId } : {}),
      ...(isShortText(type) ? { type } : {}),
      headers: { 'x-daybook-queue': queue, 'x-daybook-parked-at': instantText(this.#options.clock.nowMs()) },
    };
  }
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= longestHeaderBytes;
}

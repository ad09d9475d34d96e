import type { Channel, ConsumeMessage, Message } from 'amqplib';
import { DaybookError, hasCode } from '../../domain/errors.ts';
import type { Job } from '../../domain/job.ts';
import type { Clock } from '../../ports/clock.ts';
import type { JobDelivery } from '../../ports/job-receiver.ts';
import { answeredWithin } from './answered-within.ts';
import { decodeJob } from './rabbitmq-job-message.ts';
import { messageOf, type LinkSession } from './rabbitmq-link.ts';
import { SettleOrder, type Settling } from './settle-order.ts';

export interface DeliveryChannelOptions {
  readonly clock: Clock;
  /** The queue's name in the broker. */
  readonly queueName: string;
  /** It is the queue of dead letters. */
  readonly isDeadLetters: boolean;
  readonly prefetch: number;
  readonly deliver: (delivery: JobDelivery) => void;
  /** Puts a message that is no job aside. Resolves when it is safe elsewhere, with false when the signal ended it. */
  readonly park: (message: ConsumeMessage, ended: AbortSignal) => Promise<boolean>;
  readonly answerDeadlineMs: number;
  /** A consumer that held and received nothing for so long gets a new channel. */
  readonly idleMs: number;
}

/** The reason of an end that is no trouble. */
export const idleReason = 'idle: looking again';

/** Finished jobs behind an unfinished one are acknowledged singly after so long. */
const longestBehindMs = 20;
/** A job that was returned before is not returned again sooner, so that nothing spins. */
const returnPauseMs = 100;

/**
 * One channel of one consumer: the generation of its deliveries. A delivery is settled on the channel that brought it
 * or not at all, for on another channel its tag names another job. When the channel ends, the broker delivers
 * everything unsettled again, and what is left here is stale.
 *
 * AMQP does not answer acknowledgements. So that `ack` can say that the queue knows, a request follows that the broker
 * answers in order: one at a time, for all acknowledgements before it.
 */
export class DeliveryChannel {
  readonly #options: DeliveryChannelOptions;
  readonly #channel: Channel;
  readonly #order: SettleOrder<HeldJob>;
  readonly #ended = new AbortController();
  /** Resolves with the reason when the channel is over. */
  readonly ended: Promise<string>;
  #consuming: boolean;
  #consumerTag: string | null = null;
  #attachedOnce = false;
  #received = 0;
  #steering: Promise<void> | null = null;
  #tick: NodeJS.Immediate | null = null;
  #behindTimer: (() => void) | null = null;
  #returnTimer: (() => void) | null = null;
  #idleTimer: (() => void) | null = null;
  #returning: HeldJob[] = [];
  /** Acknowledged, and not yet known to the queue. */
  #unanswered: HeldJob[] = [];
  #asked: Promise<void> | null = null;

  /** @throws when the session ends, or does not answer, which ends it */
  static async open(session: LinkSession, consuming: boolean, options: DeliveryChannelOptions): Promise<DeliveryChannel> {
    const { clock, answerDeadlineMs } = options;
    const opening = session.connection.createChannel();
    try {
      const channel = await answeredWithin(clock, answerDeadlineMs, 'the opening of a channel', opening);
      const deliveries = new DeliveryChannel(channel, consuming, options);
      await deliveries.#answerInOrder('the prefetch');
      deliveries.#steer();
      deliveries.#watchIdleness();
      return deliveries;
    } catch (error) {
      // It may open later; nobody wants it then.
      opening.then((channel) => channel.close()).catch(() => undefined);
      // No queue has a part in this, so the broker or the way to it is silent: sooner known than by heartbeats.
      if (hasCode(error, 'timed-out')) session.fail(messageOf(error));
      throw error;
    }
  }

  private constructor(channel: Channel, consuming: boolean, options: DeliveryChannelOptions) {
    this.#options = options;
    this.#channel = channel;
    this.#consuming = consuming;
    this.#order = new SettleOrder(options.prefetch / 4);
    this.ended = new Promise((resolve) => {
      this.#ended.signal.addEventListener('abort', () => resolve(String(this.#ended.signal.reason)), { once: true });
    });
    // Closed by the broker: closing it once more would cost the whole connection, and with it every other lane.
    channel.on('error', (error) => this.#over(messageOf(error)));
    channel.on('close', () => this.#over('the connection was closed'));
  }

  get alive(): boolean {
    return !this.#ended.signal.aborted;
  }

  /** Whether the broker delivers now. */
  get attached(): boolean {
    return this.#consumerTag !== null && this.alive;
  }

  /** Whether the queue was found at some time. */
  get attachedOnce(): boolean {
    return this.#attachedOnce;
  }

  /** Lets the broker deliver, or not. What is held stays held. */
  setConsuming(consuming: boolean): void {
    this.#consuming = consuming;
    if (!consuming) this.#returnNow();
    this.#steer();
  }

  /** Gives back what is not acknowledged and closes the channel; waits for the broker's answer. Never rejects. */
  async close(reason = 'the consumer was stopped'): Promise<void> {
    if (!this.alive) return;
    this.#consuming = false;
    try {
      // In this order on the wire: no more deliveries; what is finished is done; the rest goes back at once. Closing
      // the channel would return it too, but from RabbitMQ 4.3 on that counts as the death of a worker.
      if (this.#consumerTag !== null) this.#channel.cancel(this.#consumerTag).catch(() => undefined);
      this.#acknowledgeFinished(true);
      const rest = this.#order.takeRest();
      for (const held of rest) held.state = 'settled';
      if (rest.length > 0) this.#channel.nackAll(true);
      while (this.alive && this.#asked) await this.#asked;
      await this.#answerInOrder('the return of jobs');
      this.#end(reason);
    } catch (error) {
      this.#end(messageOf(error));
    }
  }

  acknowledge(held: HeldJob): Promise<void> {
    if (!this.alive) return Promise.reject(stale(held, 'its channel is gone and the queue has taken the job back'));
    this.#order.finish(held);
    this.#tick ??= setImmediate(() => {
      this.#tick = null;
      this.#acknowledgeFinished(false);
    });
    return held.whenAcknowledged();
  }

  /** Nothing to do where the channel is gone: the broker has the job back. */
  giveBack(held: HeldJob): void {
    if (!this.alive) return;
    if (!held.redelivered || !this.#consuming) return this.#return(held);
    this.#returning.push(held);
    this.#returnTimer ??= this.#options.clock.setTimer(returnPauseMs, () => this.#returnNow());
  }

  /** Brings the consumer to the wanted state. One at a time; the state may change meanwhile. */
  #steer(): void {
    this.#steering ??= this.#steerUntilDone().finally(() => (this.#steering = null));
  }

  async #steerUntilDone(): Promise<void> {
    const { clock, answerDeadlineMs, queueName } = this.#options;
    try {
      while (this.alive && this.#consuming !== (this.#consumerTag !== null)) {
        const tag = this.#consumerTag;
        if (tag === null) {
          const consumer = this.#channel.consume(queueName, (message) => this.#receive(message));
          this.#consumerTag = (await answeredWithin(clock, answerDeadlineMs, `to consume ${queueName}`, consumer)).consumerTag;
          this.#attachedOnce = true;
        } else {
          await answeredWithin(clock, answerDeadlineMs, `to stop consuming ${queueName}`, this.#channel.cancel(tag));
          this.#consumerTag = null;
        }
      }
    } catch (error) {
      this.#end(messageOf(error));
    }
  }

  /** Must not throw: the client would take the connection down. */
  #receive(message: ConsumeMessage | null): void {
    if (!this.alive) return;
    if (message === null) return this.#end('the broker cancelled the consumer: the queue was deleted, or a job was held for too long');
    this.#received += 1;
    const { deliveryTag: tag, redelivered } = message.fields;
    const job = decodeJob(message.content, message.properties.headers);
    const held = new HeldJob(this, { tag, redelivered, returns: returnsOf(message), deadLetter: this.#options.isDeadLetters, job });
    this.#order.add(held);
    // What was on its way when the consumer paused.
    if (!this.#consuming) return held.giveBack();
    if (job === null) return void this.#park(message, held);
    try {
      this.#options.deliver(held);
    } catch (error) {
      this.#end(`a delivery was not taken: ${messageOf(error)}`);
    }
  }

  /**
   * Brokers have ways to forget a consumer that looks attached: a queue that was deleted and came back at once is one.
   * Nothing tells; so a consumer that gets nothing looks again on a new channel, which costs four requests. It holds
   * nothing then, so nothing becomes stale.
   */
  #watchIdleness(): void {
    const before = this.#received;
    this.#idleTimer = this.#options.clock.setTimer(this.#options.idleMs, () => {
      const idle = this.attached && this.#consuming && this.#received === before && this.#order.isEmpty && this.#unanswered.length === 0;
      if (idle) void this.close(idleReason);
      else this.#watchIdleness();
    });
  }

  async #park(message: ConsumeMessage, held: HeldJob): Promise<void> {
    if (!(await this.#options.park(message, this.#ended.signal))) return;
    // Parked and not acknowledged, it is parked once more: a copy on the shelf is harmless.
    await held.ack().catch(() => undefined);
  }

  #acknowledgeFinished(singly: boolean): void {
    if (!this.alive) return;
    for (const { tag, multiple, deliveries } of this.#order.takeAcknowledgements(singly)) {
      this.#channel.ack(messageWithTag(tag), multiple);
      for (const held of deliveries) this.#unanswered.push(held);
    }
    if (this.#order.hasFinished) {
      this.#behindTimer ??= this.#options.clock.setTimer(longestBehindMs, () => {
        this.#behindTimer = null;
        this.#acknowledgeFinished(true);
      });
    }
    this.#ask();
  }

  /** Learns when the queue knows what was acknowledged until now. */
  #ask(): void {
    this.#asked ??= this.#askWhileUnanswered().finally(() => (this.#asked = null));
  }

  async #askWhileUnanswered(): Promise<void> {
    try {
      while (this.#unanswered.length > 0) {
        const covered = this.#unanswered.length;
        await this.#answerInOrder('acknowledgements');
        for (const held of this.#unanswered.splice(0, covered)) held.acknowledged();
      }
    } catch (error) {
      this.#end(messageOf(error));
    }
  }

  /**
   * The cheapest request that the broker answers after everything before it. It sets the prefetch of the consumer, to
   * the same value each time; a limit of the whole channel would close the connection, for quorum queues know none.
   */
  #answerInOrder(request: string): Promise<unknown> {
    const { clock, prefetch, answerDeadlineMs } = this.#options;
    return answeredWithin(clock, answerDeadlineMs, request, this.#channel.prefetch(prefetch, false));
  }

  #returnNow(): void {
    this.#returnTimer?.();
    this.#returnTimer = null;
    for (const held of this.#returning.splice(0)) this.#return(held);
  }

  #return(held: HeldJob): void {
    if (!this.alive || held.state !== 'held') return;
    held.state = 'settled';
    this.#channel.nack(messageWithTag(held.tag), false, true);
  }

  /** Gives the channel up. */
  #end(reason: string): void {
    if (!this.alive) return;
    this.#over(reason);
    // Rejects when the connection is gone.
    this.#channel.close().catch(() => undefined);
  }

  /** Everything of this generation is over: no delivery is settled on the channel any more. */
  #over(reason: string): void {
    if (!this.alive) return;
    this.#ended.abort(reason);
    if (this.#tick) clearImmediate(this.#tick);
    this.#behindTimer?.();
    this.#returnTimer?.();
    this.#idleTimer?.();
    for (const held of this.#unanswered.splice(0)) {
      held.notAcknowledged(new DaybookError('queue-unavailable', `RabbitMQ did not confirm the acknowledgement of ${nameOf(held)}: ${reason}`));
    }
    for (const held of this.#order.takeRest()) {
      if (held.state === 'finished') held.notAcknowledged(stale(held, `${reason}, and the queue has taken the job back`));
      held.state = 'settled';
    }
  }
}

/** What the broker tells of a delivery; the job is null where the message is none. */
interface Delivered extends Pick<JobDelivery, 'redelivered' | 'returns' | 'deadLetter'> {
  readonly tag: number;
  readonly job: Job | null;
}

class HeldJob implements JobDelivery, Settling {
  readonly tag: number;
  readonly redelivered: boolean;
  readonly returns: number;
  readonly deadLetter: boolean;
  state: Settling['state'] = 'held';
  readonly #channel: DeliveryChannel;
  readonly #job: Job | null;
  #givenBack = false;
  acknowledged: () => void = () => {};
  notAcknowledged: (error: DaybookError) => void = () => {};

  constructor(channel: DeliveryChannel, delivered: Delivered) {
    this.#channel = channel;
    this.tag = delivered.tag;
    this.redelivered = delivered.redelivered;
    this.returns = delivered.returns;
    this.deadLetter = delivered.deadLetter;
    this.#job = delivered.job;
  }

  /** Only what is a job is delivered. */
  get job(): Job {
    return this.#job!;
  }

  ack(): Promise<void> {
    if (this.state !== 'held' || this.#givenBack) return Promise.reject(stale(this, 'it was settled before, or its channel is gone'));
    return this.#channel.acknowledge(this);
  }

  giveBack(): void {
    if (this.state !== 'held' || this.#givenBack) return;
    this.#givenBack = true;
    this.#channel.giveBack(this);
  }

  whenAcknowledged(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.acknowledged = resolve;
      this.notAcknowledged = reject;
    });
  }
}

/** Quorum queues count; the first delivery bears no count. */
function returnsOf({ properties }: ConsumeMessage): number {
  const count: unknown = properties.headers?.['x-delivery-count'];
  return typeof count === 'number' ? count : 0;
}

/** The client reads nothing else of a message that it settles. */
function messageWithTag(deliveryTag: number): Message {
  return { fields: { deliveryTag } } as Message;
}

function stale(held: HeldJob, why: string): DaybookError {
  return new DaybookError('stale-delivery', `The delivery of ${nameOf(held)} cannot be acknowledged: ${why}`);
}

function nameOf({ job }: HeldJob): string {
  return job ? `attempt ${job.attempt} of task ${job.taskId}` : 'a message that is no job';
}

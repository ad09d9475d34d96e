import type { Channel, ChannelModel, Options } from 'amqplib';
import { DaybookError } from '../../domain/errors.ts';
import type { Clock } from '../../ports/clock.ts';
import { answeredWithin } from './answered-within.ts';
import { messageOf } from './rabbitmq-link.ts';

/**
 * The version in every name. What a queue was declared with cannot be changed, so other arguments need another
 * version: the dispatcher fills the new queues from the log, and the old ones are drained or deleted.
 */
const version = 1;
/** Version 1 was declared without a limit in a way that RabbitMQ 3.10 takes for a limit of none. */
const shelfVersion = 2;

/** Routing keys of the shelf exchange, and names of its queues. No lane has these names. */
const shelves = ['dead', 'parked'] as const;

/**
 * Returns of one job to its queue before the broker puts it on the shelf of the dead. The fourth start of a job that
 * kills workers is prevented by the claims; this bounds what happens without them. High, because up to RabbitMQ 4.2
 * each return of an innocent job counts as well, that of an orderly stop too.
 */
const deliveryLimit = 100;
/**
 * Of the shelves, which must keep what is returned to them. As good as none, for no argument means none everywhere:
 * without one, RabbitMQ 4 takes 20; with -1, RabbitMQ 3.10.8 drops a message that is returned once.
 */
const shelfDeliveryLimit = 1_000_000_000;

/** The names of everything that Daybook has in a broker; two topics never share one. */
export class RabbitmqNames {
  readonly #prefix: string;
  readonly jobsExchange: string;
  /** Takes what no worker can run: `dead`, put there by the broker, and `parked`, put there by workers. */
  readonly shelfExchange: string;

  constructor(topic: string) {
    this.#prefix = `daybook.${topic}`;
    this.jobsExchange = this.#named('jobs');
    this.shelfExchange = this.#named('shelf');
  }

  /** Of a queue in Daybook's sense. Dots are encoded so that `a` + `b.c` and `a.b` + `c` differ. */
  laneQueue(queue: string): string {
    const encoded = queue.replaceAll('.', '%2E');
    return this.#named(isShelf(encoded) ? `%${encoded.charCodeAt(0).toString(16)}${encoded.slice(1)}` : encoded);
  }

  shelfQueue(shelf: (typeof shelves)[number]): string {
    return this.#named(shelf, shelfVersion);
  }

  #named(name: string, itsVersion = version): string {
    return `${this.#prefix}.${name}.v${itsVersion}`;
  }
}

export interface RabbitmqTopologyOptions {
  readonly topic: string;
  /**
   * Jobs that a queue may hold, roughly: a quorum queue notices one late, and several when they come at once. A
   * further one is refused. Default: no limit, for the dispatch window bounds the queues already.
   */
  readonly maxQueueJobs?: number;
  readonly clock: Clock;
  /** For each request; default 5 s. */
  readonly answerDeadlineMs?: number;
}

export interface LaneCounts {
  /** Those that consumers hold are not counted. */
  readonly readyJobs: number;
  readonly consumers: number;
}

/** Declares what jobs need. Only the dispatcher's side does so; workers take what is there. */
export class RabbitmqTopology {
  readonly names: RabbitmqNames;
  readonly #options: RabbitmqTopologyOptions;

  constructor(options: RabbitmqTopologyOptions) {
    this.#options = options;
    this.names = new RabbitmqNames(options.topic);
  }

  /**
   * The exchanges, and the queues of what no worker can run. Repeating it changes nothing.
   * @throws DaybookError `configuration-invalid`: there is another one of that name; `queue-unavailable`
   */
  declareExchanges(connection: ChannelModel): Promise<void> {
    const { jobsExchange, shelfExchange } = this.names;
    return this.#onChannel(connection, async (channel) => {
      await channel.assertExchange(jobsExchange, 'direct', { durable: true });
      await channel.assertExchange(shelfExchange, 'direct', { durable: true });
      for (const shelf of shelves) {
        const queue = this.names.shelfQueue(shelf);
        await channel.assertQueue(queue, quorum({ 'x-delivery-limit': shelfDeliveryLimit }));
        await channel.bindQueue(queue, shelfExchange, shelf);
      }
    });
  }

  /**
   * The queue of a lane, after the exchanges. Repeating it changes nothing, and does not tell whether it was there.
   * @throws DaybookError as `declareExchanges`
   */
  async declareLane(connection: ChannelModel, queue: string): Promise<void> {
    const name = this.names.laneQueue(queue);
    await this.#onChannel(connection, async (channel) => {
      await channel.assertQueue(name, this.laneOptions);
      await channel.bindQueue(name, this.names.jobsExchange, queue);
    });
  }

  /** What a lane's queue is declared with. */
  get laneOptions(): Options.AssertQueue {
    const { maxQueueJobs } = this.#options;
    return quorum({
      'x-delivery-limit': deliveryLimit,
      'x-dead-letter-exchange': this.names.shelfExchange,
      'x-dead-letter-routing-key': 'dead' satisfies (typeof shelves)[number],
      'x-dead-letter-strategy': 'at-least-once',
      ...(maxQueueJobs === undefined ? {} : { 'x-max-length': maxQueueJobs }),
    });
  }

  /**
   * What the queue of a lane says of itself, null when there is none. Declares nothing.
   * @throws DaybookError as `declareExchanges`
   */
  async lookAtLane(connection: ChannelModel, queue: string): Promise<LaneCounts | null> {
    return this.#onChannel(connection, async (channel) => {
      try {
        const { messageCount, consumerCount } = await channel.checkQueue(this.names.laneQueue(queue));
        return { readyJobs: messageCount, consumers: consumerCount };
      } catch (error) {
        if (replyCode(error) === 404) return null;
        throw error;
      }
    });
  }

  /** On a channel of its own, because a refused declaration closes its channel. */
  async #onChannel<Result>(connection: ChannelModel, work: (channel: Channel) => Promise<Result>): Promise<Result> {
    const { clock, answerDeadlineMs = 5_000 } = this.#options;
    let channel: Channel | undefined;
    let expired = false;
    const run = async () => {
      channel = await connection.createChannel();
      // The request that caused it is rejected as well.
      channel.on('error', () => undefined);
      if (!expired) return work(channel);
      closeQuietly(channel);
      throw new DaybookError('timed-out', 'the channel opened too late');
    };
    try {
      return await answeredWithin(clock, answerDeadlineMs, 'a declaration', run());
    } catch (error) {
      throw explain(error);
    } finally {
      expired = true;
      closeQuietly(channel);
    }
  }
}

/** Only arguments that mean the same from RabbitMQ 3.10 to 4.x. A full queue refuses; it never drops its oldest job. */
function quorum(queueArguments: Record<string, unknown>): Options.AssertQueue {
  return { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', ...queueArguments } };
}

/** What the broker's refusal means, and what to do about it. */
function explain(error: unknown): DaybookError {
  const message = messageOf(error);
  const cause = { cause: error };
  const different = /inequivalent arg '([^']*)' for (queue|exchange) '([^']*)'/.exec(message);
  if (different) {
    const [, argument = '', kind = '', name = ''] = different;
    // The broker cuts long messages off, so either value may be missing.
    const wanted = valueAfter('received', message);
    const current = valueAfter('but current is', message);
    const values = [...(current === null ? [] : [`it has ${current}`]), ...(wanted === null ? [] : [`Daybook needs ${wanted}`])].join(', ');
    const remove = kind === 'queue' ? `let workers drain it, then delete it (rabbitmqctl delete_queue ${name})` : 'delete it';
    return new DaybookError(
      'configuration-invalid',
      `The ${kind} ${name} was declared by someone else with another ${argument}${values && ` (${values})`}, which cannot be changed. ` +
        `Fix: ${remove}; it is declared again, and filled from the log`,
      cause,
    );
  }
  if (replyCode(error) === 403) {
    return new DaybookError('configuration-invalid', `RabbitMQ refuses a declaration: ${message}. Fix: give the dispatcher's user the permissions configure, write and read on ^daybook\\.`, cause);
  }
  return new DaybookError('queue-unavailable', `RabbitMQ did not take a declaration: ${message}`, cause);
}

/** RabbitMQ writes `'20'`, `the value '20' of type 'signedint'` or `none`, by version. */
function valueAfter(words: string, message: string): string | null {
  const found = new RegExp(`${words} (?:the value )?(?:'([^']*)'|(none))`).exec(message);
  return found?.[1] ?? found?.[2] ?? null;
}

function isShelf(name: string): boolean {
  return (shelves as readonly string[]).includes(name);
}

function closeQuietly(channel: Channel | undefined): void {
  // It rejects when the channel closed already, which is just as well.
  channel?.close().catch(() => undefined);
}

/** The AMQP reply code with which the broker closed a channel, or undefined. */
export function replyCode(error: unknown): number | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
}

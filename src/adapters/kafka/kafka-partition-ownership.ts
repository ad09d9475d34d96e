import { Consumer } from '@platformatic/kafka';
import { messageOf } from '../../domain/errors.ts';
import { sleep, type Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PartitionOwnership } from '../../ports/partition-ownership.ts';
import type { DependencyHealth } from '../../ports/service.ts';
import { clientOptions, closeClient, hearErrors, settlesWithin, type KafkaConnection } from './kafka-connection.ts';

export interface KafkaPartitionOwnershipOptions {
  readonly connection: KafkaConnection;
  readonly topic: string;
  /** Names those who share: `daybook-dispatcher-<topic>`. */
  readonly groupId: string;
  /** A member that is silent for so long loses its partitions; default 10,000 ms. */
  readonly sessionMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A hold is believed for this part of the session after the last heartbeat that the group confirmed. */
const believedPart = 0.6;
const heartbeatMs = 1_000;
const lapseCheckMs = 200;
const rebuildPauseMs = 300;
/** Leaving tells the others at once; where it is not answered they find out by the session. */
const leaveWaitMs = 2_000;

/**
 * Shares the topic's partitions among the members of a consumer group. The group is used for that alone: nothing is
 * read through it and no position is committed to it.
 *
 * Before every change the group asks all members to join anew; then everything held is given up at once. A member that
 * was frozen does not know that it lost its partitions, but sees by its clock that the hold is too old to be believed.
 */
export class KafkaPartitionOwnership implements PartitionOwnership {
  readonly #options: Required<KafkaPartitionOwnershipOptions>;
  readonly #stopping = new AbortController();
  #onChange: (held: ReadonlySet<number>) => void = () => {};
  #held: ReadonlySet<number> = new Set();
  #confirmedMs = -Infinity;
  #trouble: string | null = 'is joining the group';
  #running: Promise<void> = Promise.resolve();

  constructor(options: KafkaPartitionOwnershipOptions) {
    this.#options = { sessionMs: 10_000, ...options };
  }

  start(onChange: (held: ReadonlySet<number>) => void): void {
    this.#onChange = onChange;
    this.#running = this.#keepMember();
  }

  holds(partition: number): boolean {
    return this.#held.has(partition) && !this.#isStale();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  health(): DependencyHealth {
    const detail = this.#trouble ?? `holds ${this.#held.size} partitions`;
    return { name: 'partitions', ok: this.#trouble === null, detail };
  }

  #isStale(): boolean {
    return this.#options.clock.monotonicMs() - this.#confirmedMs >= believedPart * this.#options.sessionMs;
  }

  #hold(partitions: ReadonlySet<number>): void {
    if (partitions.size === 0 && this.#held.size === 0) return;
    this.#held = partitions;
    this.#onChange(partitions);
  }

  /** A member that failed in any way is replaced by a new one, which starts with another of the bootstrap servers. */
  async #keepMember(): Promise<void> {
    const { signal } = this.#stopping;
    for (let turn = 0; !signal.aborted; turn++) {
      this.#trouble = await this.#beMember(turn);
      this.#hold(new Set());
      if (signal.aborted) return;
      this.#options.logger.warn({ reason: this.#trouble }, 'the membership of the group ended; joining anew');
      await sleep(this.#options.clock, rebuildPauseMs, signal);
    }
  }

  /** Joins, and stays until something goes wrong; resolves with what. */
  async #beMember(turn: number): Promise<string> {
    const consumer = this.#newConsumer(turn);
    let cancelLapse = () => {};
    try {
      return await new Promise<string>((resolve) => {
        cancelLapse = this.#watchLapse(() => resolve('the group has not confirmed the hold for too long'));
        consumer.on('error', (error: Error) => resolve(error.message));
        consumer.on('consumer:heartbeat:stalled', () => resolve('the heartbeat is not answered'));
        consumer.on('consumer:heartbeat:end', () => this.#confirm());
        consumer.on('consumer:group:join', ({ assignments }) => {
          this.#confirm();
          this.#trouble = null;
          const ours = (assignments ?? []).filter(({ topic }) => topic === this.#options.topic);
          this.#hold(new Set(ours.flatMap(({ partitions }) => partitions)));
        });
        this.#stopping.signal.addEventListener('abort', () => resolve('stopped'), { once: true });
        consumer.topics.track(this.#options.topic);
        consumer.joinGroup({}).catch((error: unknown) => resolve(`joining failed: ${messageOf(error)}`));
      });
    } finally {
      cancelLapse();
      await this.#leave(consumer);
    }
  }

  #newConsumer(turn: number): Consumer {
    const { connection, groupId, sessionMs } = this.#options;
    const client = clientOptions(connection);
    const first = turn % client.bootstrapBrokers.length;
    const bootstrapBrokers = [...client.bootstrapBrokers.slice(first), ...client.bootstrapBrokers.slice(0, first)];
    const consumer = new Consumer({
      ...client,
      bootstrapBrokers,
      groupId,
      groupProtocol: 'classic',
      sessionTimeout: sessionMs,
      rebalanceTimeout: 2 * sessionMs,
      heartbeatInterval: heartbeatMs,
      heartbeatStallTimeout: sessionMs,
      autocommit: false,
      retries: 5,
      retryDelay: 200,
      connectTimeout: 1_000,
      // A join is answered when every member has joined, or the rebalance has timed out.
      requestTimeout: 2 * sessionMs + 2_000,
      metadataMaxAge: 30_000,
      // Awaited before every join, so before others can get what is held here: the one place to give up in time.
      protocolsMetadata: async () => {
        this.#hold(new Set());
        return Buffer.alloc(0);
      },
    });
    hearErrors(consumer.connections);
    return consumer;
  }

  #confirm(): void {
    this.#confirmedMs = this.#options.clock.monotonicMs();
  }

  /** What was not confirmed in time is given up by the clock: by then another member may have it. */
  #watchLapse(onLapse: () => void): () => void {
    const { clock } = this.#options;
    const check = () => {
      if (this.#held.size > 0 && this.#isStale()) return onLapse();
      cancel = clock.setTimer(lapseCheckMs, check);
    };
    let cancel = clock.setTimer(lapseCheckMs, check);
    return () => cancel();
  }

  async #leave(consumer: Consumer): Promise<void> {
    const left = Promise.resolve(consumer.leaveGroup(true)).catch(() => undefined);
    await settlesWithin(left, leaveWaitMs);
    await closeClient(consumer);
  }
}

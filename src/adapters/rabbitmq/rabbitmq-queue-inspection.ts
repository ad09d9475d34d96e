import { DaybookError, hasCode } from '../../domain/errors.ts';
import type { DependencyHealth } from '../../ports/service.ts';
import type { QueueInspection } from '../../ports/queue-inspection.ts';
import { messageOf, RabbitmqLink, type RabbitmqLinkOptions } from './rabbitmq-link.ts';
import { RabbitmqTopology, type LaneCounts } from './rabbitmq-topology.ts';

export interface RabbitmqQueueInspectionOptions extends RabbitmqLinkOptions {
  readonly topic: string;
}

/**
 * Asks RabbitMQ how many jobs of a queue wait: those that workers hold are not among them. On a connection of its own,
 * because on one that publishes an alarm of the broker leaves every question without an answer.
 */
export class RabbitmqQueueInspection implements QueueInspection {
  readonly #topology: RabbitmqTopology;
  readonly #link: RabbitmqLink;

  /** Connects at once and keeps connected until closed. */
  constructor(options: RabbitmqQueueInspectionOptions) {
    this.#topology = new RabbitmqTopology(options);
    this.#link = new RabbitmqLink(options, { onOpened: () => undefined });
  }

  /**
   * Rejects at once without a connection, else within `answerDeadlineMs`.
   *
   * For a quorum queue whose leader is away, or does not answer its own broker within 250 ms, RabbitMQ answers with no
   * jobs and no consumers instead of an error. So where nobody consumes, an empty queue cannot be told from one that
   * is silent, and this says so.
   */
  async readyJobs(queue: string): Promise<number | null> {
    const lane = await this.#lookAt(queue);
    if (lane?.readyJobs === 0 && lane.consumers === 0) throw unanswered(queue, 'nobody consumes it, and RabbitMQ says the same of a queue that does not answer');
    return lane && lane.readyJobs;
  }

  health(): DependencyHealth {
    return this.#link.health();
  }

  /** Bounded and idempotent. */
  close(): Promise<void> {
    return this.#link.close();
  }

  async #lookAt(queue: string): Promise<LaneCounts | null> {
    const { session } = this.#link;
    if (!session) throw unanswered(queue, this.#link.health().detail);
    try {
      return await this.#topology.lookAtLane(session.connection, queue);
    } catch (error) {
      // Behind an unanswered question a channel stays open; a new connection lets go of all of them.
      if (hasCode(error, 'queue-unavailable') && hasCode(error.cause, 'timed-out')) session.fail(messageOf(error));
      throw unanswered(queue, messageOf(error), error);
    }
  }
}

function unanswered(queue: string, detail: string, cause?: unknown): DaybookError {
  return new DaybookError('queue-unavailable', `RabbitMQ did not say how many jobs wait in the queue ${queue}: ${detail}`, { cause });
}

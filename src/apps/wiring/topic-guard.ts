import { ensureTopic } from '../../adapters/kafka/kafka-topic.ts';
import { DaybookError, hasCode } from '../../domain/errors.ts';
import { sleep, waitAtMost, type Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { DependencyHealth, Service } from '../../ports/service.ts';
import type { Config } from '../config.ts';
import { kafkaConnectionOf } from './kafka-connection-of.ts';

const startWaitMs = 5_000;
const pauseMs = 1_000;

/**
 * Creates the topic where it is missing and asserts that it keeps history for ever, at the start of every role that
 * uses it. A cluster that is away is asked until it answers; the role is not ready until then.
 */
export class TopicGuard implements Service {
  readonly name = 'topic';
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #checking: Promise<void> | null = null;
  #identity: string | null = null;
  #problem = 'was not checked yet';
  /** The topic is there and must not be used. */
  #refusal: Error | null = null;

  constructor(config: Config, clock: Clock, logger: Logger) {
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @throws DaybookError `configuration-invalid`: the topic would lose history; names each setting and what mends it */
  async start(): Promise<void> {
    this.#checking = this.#checkUntilAnswered();
    await waitAtMost(this.#clock, startWaitMs, this.#checking);
    if (this.#refusal !== null) throw this.#refusal;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#checking;
  }

  health(): readonly DependencyHealth[] {
    return [{ name: 'topic', ok: this.#identity !== null, detail: this.#identity === null ? this.#problem : 'keeps history for ever' }];
  }

  /**
   * Identifies the log: cluster and topic. For claims, whose worker reads no history.
   * @throws DaybookError `log-unavailable` until the cluster has answered
   */
  identity(): Promise<string> {
    if (this.#identity !== null) return Promise.resolve(this.#identity);
    return Promise.reject(new DaybookError('log-unavailable', `the topic is not known: ${this.#problem}`));
  }

  async #checkUntilAnswered(): Promise<void> {
    const { topic, topicPartitions, topicReplication } = this.#config;
    const connection = kafkaConnectionOf(this.#config);
    const replicas = topicReplication === null ? {} : { replicas: topicReplication };
    while (!this.#stopping.signal.aborted) {
      try {
        const { clusterId, topicId } = await ensureTopic({ connection, topic, partitions: topicPartitions, ...replicas });
        this.#identity = `${clusterId}/${topicId}`;
        return;
      } catch (error) {
        this.#problem = error instanceof Error ? error.message : String(error);
        if (!hasCode(error, 'log-unavailable')) {
          this.#refusal = error instanceof Error ? error : new Error(this.#problem);
          this.#logger.error({ error }, 'the topic must not be used as it is');
          return;
        }
      }
      this.#logger.warn({ problem: this.#problem }, 'the topic could not be checked; trying again');
      await sleep(this.#clock, pauseMs, this.#stopping.signal);
    }
  }
}

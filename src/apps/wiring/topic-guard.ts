import { ensureTopic } from '../../adapters/kafka/kafka-topic.ts';
import { DaybookError, messageOf, type ErrorCode } from '../../domain/errors.ts';
import { sleep, waitAtMost, type Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { DependencyHealth, Service } from '../../ports/service.ts';
import type { Config } from '../config.ts';
import { notedTopic, noteTopic, type NotedTopic } from './noted-topic.ts';
import { refuseLostTopic, type KnownLogs } from './lost-topic.ts';
import { topicOptionsOf } from './topic-options-of.ts';

const startWaitMs = 5_000;
const pauseMs = 1_000;
/**
 * A topic that is missing and known counts as lost only after so long: another role may just have created it, and what
 * knows it then was written between the look at the cluster and the look at what is known.
 */
const lostAfterMs = 3_000;
/** Only whoever changes the settings or the topic can help. Everything else is asked again. */
const refusals: ReadonlySet<string> = new Set<ErrorCode>(['configuration-invalid', 'topic-lost']);

/**
 * Creates the topic where it is missing and asserts that it keeps history for ever, at the start of every role that
 * uses it. A cluster that is away is asked until it answers; the role is not ready until then.
 *
 * A missing topic is created only where nothing was derived from it and no role of the data folder has worked with it:
 * else history was lost, and an empty topic would hide that. Another topic of the same name keeps the role from being
 * ready, until it is the former one again or what is known of that was removed.
 */
export class TopicGuard implements Service {
  readonly name = 'topic';
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #knownLogs: KnownLogs;
  readonly #stopping = new AbortController();
  #checking: Promise<void> | null = null;
  #identity: string | null = null;
  #problem = 'was not checked yet';
  /** When it was found missing, and known, for the first time. */
  #missingSinceMs: number | null = null;
  /** Why the topic must not be used. */
  #refusal: Error | null = null;

  /** @param knownLogs default: this process keeps nothing that was derived from the log */
  constructor(config: Config, clock: Clock, logger: Logger, knownLogs: KnownLogs = () => Promise.resolve([])) {
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger;
    this.#knownLogs = knownLogs;
  }

  /**
   * @throws DaybookError `configuration-invalid`: the topic would lose history; names each setting and what mends it
   * @throws DaybookError `topic-lost`: the topic is missing, and there was one; names what tells of it
   */
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
    while (!this.#stopping.signal.aborted) {
      try {
        this.#identity = await this.#check();
        return;
      } catch (error) {
        const problem = messageOf(error);
        const isNew = problem !== this.#problem;
        this.#problem = problem;
        if (!(error instanceof DaybookError) || (refusals.has(error.code) && !this.#mayStillAppear(error))) {
          this.#refusal = error instanceof Error ? error : new Error(this.#problem);
          this.#logger.error({ error }, 'the topic must not be used as it is');
          return;
        }
        if (isNew) this.#logger.warn({ problem }, 'the topic cannot be used now; it is checked again and again');
      }
      await sleep(this.#clock, pauseMs, this.#stopping.signal);
    }
  }

  #mayStillAppear({ code }: DaybookError): boolean {
    if (code !== 'topic-lost') return false;
    const nowMs = this.#clock.monotonicMs();
    this.#missingSinceMs ??= nowMs;
    return nowMs - this.#missingSinceMs < lostAfterMs;
  }

  async #check(): Promise<string> {
    const noted = notedTopic(this.#config);
    const { clusterId, topicId, partitions } = await ensureTopic(
      topicOptionsOf(this.#config),
      { ...(noted === null ? {} : { known: noted }), mayCreate: () => refuseLostTopic(this.#config, this.#knownLogs) },
    );
    if (noted === null) this.#note({ clusterId, topicId, partitions: partitions.length });
    return `${clusterId}/${topicId}`;
  }

  /** A role that cannot write its folder works all the same: it only cannot tell later which topic it was. */
  #note(topic: NotedTopic): void {
    try {
      noteTopic(this.#config, topic);
    } catch (error) {
      this.#logger.warn({ error }, 'the data folder cannot be written: a later start will not notice when the topic was replaced');
    }
  }
}

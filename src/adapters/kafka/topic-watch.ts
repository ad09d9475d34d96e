import { messageOf, type DaybookError } from '../../domain/errors.ts';
import type { KafkaCluster, TopicMetadata } from './kafka-cluster.ts';
import { topicMissing, unavailable } from './kafka-errors.ts';
import type { KnownTopic } from './kafka-topic.ts';

const watchMs = 2_000;
const shortestPauseMs = 100;

/**
 * Keeps looking at the topic that is written to. Records are sent by the topic's name, so that a topic which was
 * deleted and created anew would take them in silence, and one whose partition count changed would part the records
 * of a key. Either ends all writing, for good.
 */
export class TopicWatch {
  readonly #cluster: KafkaCluster;
  readonly #topic: string;
  readonly #onChange: () => void;
  #metadata: TopicMetadata | undefined;
  /** The one that it has to be. */
  #known: KnownTopic | undefined;
  #refusal: DaybookError | undefined;
  #problem = 'it has not answered yet';
  /** Whether the last look found the topic. */
  #answered = false;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #closed = false;

  /**
   * @param known from before: no other topic is taken for it; undefined: the first one that is found
   * @param onChange the topic is found, its leaders may have changed, or it is refused
   */
  constructor(cluster: KafkaCluster, topic: string, known: KnownTopic | undefined, onChange: () => void) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#known = known;
    this.#onChange = onChange;
    void this.#look();
  }

  /** Undefined until the cluster answered once. */
  get metadata(): TopicMetadata | undefined {
    return this.#metadata;
  }

  /** Why nothing may be written any more. */
  get refusal(): DaybookError | undefined {
    return this.#refusal;
  }

  /** What stood in the way when the cluster was asked last. */
  get problem(): string {
    return this.#problem;
  }

  /** Why nothing can be written now, as the last look tells, which is at most some 4 s old; null: nothing is known against it. */
  get trouble(): string | null {
    if (this.#refusal) return this.#refusal.message;
    if (!this.#answered) return this.#problem;
    return this.#isWhole() ? null : `a partition of the topic ${this.#topic} has no leader`;
  }

  refuse(problem: string): void {
    this.#refusal ??= unavailable(`Nothing is written to the topic ${this.#topic} any more: ${problem}. Restore the topic it was, then restart`);
    this.#onChange();
  }

  /** Looks soon: a send failed, so that the leaders may have changed. */
  lookSoon(): void {
    if (!this.#looking) this.#lookIn(shortestPauseMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), delayMs).unref();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    try {
      const metadata = await this.#cluster.topic(this.#topic);
      this.#answered = metadata !== null;
      if (metadata) this.#compare(metadata);
      else this.#problem = messageOf(topicMissing(this.#topic, this.#known?.topicId));
    } catch (error) {
      this.#answered = false;
      this.#problem = messageOf(error);
    }
    this.#looking = false;
    this.#lookIn(this.#isWhole() ? watchMs : shortestPauseMs);
  }

  #isWhole(): boolean {
    return this.#metadata?.partitions.every(({ leader }) => leader >= 0) ?? false;
  }

  #compare(found: TopicMetadata): void {
    this.#problem = 'its leaders did not confirm';
    const known = (this.#known ??= { topicId: found.topicId, partitions: found.partitions.length });
    if (found.topicId !== known.topicId) return this.refuse(`it was deleted and created anew (its id was ${known.topicId}, now it is ${found.topicId})`);
    if (found.partitions.length !== known.partitions) return this.refuse(`it had ${known.partitions} partitions and now has ${found.partitions.length}, which parts the records of a task`);
    this.#metadata = found;
    this.#onChange();
  }
}

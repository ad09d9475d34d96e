import { Admin, ConfigResourceTypes } from '@platformatic/kafka';
import { DaybookError } from '../../domain/errors.ts';
import { KafkaCluster, type TopicMetadata } from './kafka-cluster.ts';
import { clientOptions, closeClient, hearErrors, type KafkaConnection } from './kafka-connection.ts';
import { describeFailure, errorCode, errorCodesIn, unavailable } from './kafka-errors.ts';
import { topicMessageBytes } from './size-limits.ts';

export interface TopicOptions {
  readonly connection: KafkaConnection;
  readonly topic: string;
  /** Of a new topic, fixed at its birth; default 12. */
  readonly partitions?: number;
  /** Of a new topic; default: 3, or as many as there are brokers when those are fewer. */
  readonly replicas?: number;
}

/** The topic that positions and snapshots belong to. */
export interface KnownTopic {
  readonly topicId: string;
  readonly partitions: number;
  /** How an operator who gives its history up removes what is known of it. */
  readonly removal?: string;
}

export interface TopicCheck {
  /** Undefined when the topic does not exist. */
  readonly metadata: TopicMetadata | undefined;
  /** Every setting that a log depends on; empty when the topic does not exist. */
  readonly settings: readonly TopicSetting[];
  /** Empty when the topic can be a log. */
  readonly problems: readonly TopicProblem[];
}

export interface TopicSetting {
  readonly setting: string;
  /** Empty when Kafka does not know such a setting. */
  readonly value: string;
  readonly required: string;
  readonly why: string;
  /** A command; null: the value will do. */
  readonly fix: string | null;
}

export interface TopicProblem {
  /** A setting of Kafka, or `topic`, `topic id`, `partitions`. */
  readonly setting: string;
  /** What it is, and what it must be and why. */
  readonly problem: string;
  /** A command, or what to do where no command helps. */
  readonly fix: string;
}

export interface FormerTopic {
  /** The topic that it has to be; default: any. */
  readonly known?: KnownTopic;
  /** Asked before a missing topic is created; throws what forbids it. */
  readonly mayCreate?: () => Promise<void>;
}

/**
 * Creates the topic where it does not exist, and checks it: for the start of every role.
 * @throws DaybookError `configuration-invalid`: it would lose history; names every wrong setting and what mends it
 * @throws DaybookError `history-lost`: it is another topic than the known one; names both
 * @throws DaybookError `log-unavailable`: the cluster did not answer
 * @throws what `mayCreate` throws
 */
export async function ensureTopic(options: TopicOptions, { known, mayCreate }: FormerTopic = {}): Promise<TopicMetadata> {
  let { metadata, problems } = await checkTopic(options, known);
  if (!metadata) {
    await mayCreate?.();
    await createTopic(options);
    ({ metadata, problems } = await checkTopic(options, known));
    // No reason to give up for good: the brokers learn of a new topic one after the other.
    if (!metadata) throw unavailable(`The topic ${options.topic} was created, and the broker that was asked does not know it yet`);
  }
  if (metadata && problems.length === 0) return metadata;
  const lines = problems.map(({ setting, problem, fix }) => `- ${setting}: ${problem}\n  ${fix}`);
  const isAnother = problems.some(({ setting }) => setting === 'topic id');
  throw new DaybookError(isAnother ? 'history-lost' : 'configuration-invalid', `The topic ${options.topic} cannot be the log:\n${lines.join('\n')}`);
}

/**
 * Creates the topic as a log needs it. One that exists is left as it is: check it.
 * @returns whether it was created now
 * @throws DaybookError `log-unavailable`: the cluster did not answer, or refused
 */
export async function createTopic(options: TopicOptions): Promise<boolean> {
  return createTopicWith(options, (replicas) => rules(replicas).map(({ setting, value }) => ({ name: setting, value })));
}

/** The same for a topic of another purpose. @param configsFor its configuration, by the number of its replicas */
export async function createTopicWith(
  { connection, topic, partitions = 12, replicas }: TopicOptions,
  configsFor: (replicas: number) => { name: string; value: string }[],
): Promise<boolean> {
  return withAdmin(connection, async (admin, cluster) => {
    if (await cluster.topic(topic)) return false;
    const copies = replicas ?? Math.min(3, (await cluster.brokers()).size);
    const isNew = await admin.createTopics({ topics: [topic], partitions, replicas: copies, configs: configsFor(copies) }).then(
      () => true,
      (error: unknown) => {
        // Another process was faster: its topic is checked like any.
        if (errorCodesIn(error).includes(errorCode.topicAlreadyExists)) return false;
        throw unavailable(`Kafka did not create the topic ${topic} with ${partitions} partitions and ${copies} replicas: ${describeFailure(error)}`, error);
      },
    );
    // Either way the controller may know the topic before the broker that is asked next does.
    await untilLed(cluster, topic);
    return isNew;
  });
}

/**
 * Compares the topic with what a log needs, and with the topic that is known from before.
 * @throws DaybookError `log-unavailable`: the cluster did not answer
 */
export async function checkTopic({ connection, topic }: TopicOptions, known?: KnownTopic): Promise<TopicCheck> {
  return withAdmin(connection, async (admin, cluster) => {
    const metadata = await cluster.topic(topic);
    if (!metadata) return { metadata: undefined, settings: [], problems: [missing(topic)] };
    const replicas = Math.min(...metadata.partitions.map((each) => each.replicas));
    const values = await describe(admin, topic);
    const settings = rules(replicas).map(({ setting, value: required, accepts, why }): TopicSetting => {
      const value = values.get(setting) ?? '';
      const command = `kafka-configs.sh --bootstrap-server ${connection.brokers[0]} --alter --entity-type topics --entity-name ${topic} --add-config ${setting}=${required}`;
      return { setting, value, required, why, fix: accepts(value) ? null : command };
    });
    const problems = settings.flatMap(({ setting, value, required, why, fix }): TopicProblem[] =>
      fix === null ? [] : [{ setting, problem: `is ${value === '' ? 'not known' : value} and must be ${required}: ${why}`, fix }],
    );
    return { metadata, settings, problems: [...problems, ...(known ? differences(metadata, known) : [])] };
  });
}

interface Rule {
  readonly setting: string;
  readonly value: string;
  readonly accepts: (value: string) => boolean;
  readonly why: string;
}

/** @param replicas of the topic */
function rules(replicas: number): Rule[] {
  const inSync = Math.max(1, replicas - 1);
  const exactly = (setting: string, value: string, why: string): Rule => ({ setting, value, why, accepts: (actual) => actual === value });
  return [
    exactly('cleanup.policy', 'delete', 'compaction removes all events of a task but the last'),
    exactly('retention.ms', '-1', 'Kafka deletes history that is older'),
    exactly('retention.bytes', '-1', 'Kafka deletes history beyond that size'),
    {
      setting: 'min.insync.replicas',
      value: String(inSync),
      // A number above the replicas is no protection: Kafka lowers it in silence.
      accepts: (actual) => Number(actual) >= inSync && Number(actual) <= replicas,
      why: `of ${replicas} replicas so many have to hold a record before it counts as recorded`,
    },
    exactly('unclean.leader.election.enable', 'false', 'a replica that lags behind could become the leader, and acknowledged events would be gone'),
    exactly('message.timestamp.type', 'LogAppendTime', "events are stamped by the log's clock, so that a wrong clock of a producer cannot stop writes"),
    {
      setting: 'max.message.bytes',
      value: String(topicMessageBytes),
      accepts: (actual) => Number(actual) >= topicMessageBytes,
      why: 'batches up to that size, or more, have to be taken',
    },
    exactly('compression.type', 'producer', 'events are compressed where they are written'),
  ];
}

function missing(topic: string): TopicProblem {
  return { setting: 'topic', problem: `${topic} does not exist`, fix: 'daybook topic create' };
}

function differences({ topicId, partitions }: TopicMetadata, known: KnownTopic): TopicProblem[] {
  const fix = `Restore the topic it was. Where its history is given up, remove what is known of it: ${known.removal ?? 'snapshots and read models'}`;
  const another = { setting: 'topic id', problem: `is ${topicId} and was ${known.topicId}: the topic was deleted and created anew`, fix };
  const parted = { setting: 'partitions', problem: `are ${partitions.length} and were ${known.partitions}: the records of a task lie in two partitions since`, fix };
  return [...(topicId === known.topicId ? [] : [another]), ...(partitions.length === known.partitions ? [] : [parted])];
}

async function describe(admin: Admin, topic: string): Promise<Map<string, string>> {
  const configurationKeys = rules(1).map(({ setting }) => setting);
  const described = await admin.describeConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys }] });
  return new Map(described[0]?.configs.map(({ name, value }) => [name, value ?? '']));
}

/** A new topic is known before its leaders are. */
async function untilLed(cluster: KafkaCluster, topic: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    const metadata = await cluster.topic(topic);
    if (metadata?.partitions.every(({ leader }) => leader >= 0)) return;
    if (performance.now() > deadlineMs) throw unavailable(`The topic ${topic} exists, but its partitions have no leaders after 10 seconds`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function withAdmin<Result>(connection: KafkaConnection, work: (admin: Admin, cluster: KafkaCluster) => Promise<Result>): Promise<Result> {
  const admin = new Admin({ ...clientOptions(connection), retries: 2, retryDelay: 200, connectTimeout: 1_000, requestTimeout: 5_000, timeout: 4_000, strict: false });
  hearErrors(admin.connections);
  const cluster = new KafkaCluster(connection);
  try {
    return await work(admin, cluster);
  } catch (error) {
    throw error instanceof DaybookError ? error : unavailable(`Kafka did not answer: ${describeFailure(error)}`, error);
  } finally {
    await Promise.all([closeClient(admin), cluster.close()]);
  }
}

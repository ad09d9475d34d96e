import { listOffsetsV9, metadataV12, type Broker, type Connection, type ConnectionPool } from '@platformatic/kafka';
import { causesOf } from '../../ports/tls-advice.ts';
import { clientOptions, closePool, openPool, type ClientOptions, type KafkaConnection } from './kafka-connection.ts';
import { describeFailure, errorCode, errorName, unavailable } from './kafka-errors.ts';

type MetadataResponse = metadataV12.MetadataResponse;

export interface TopicMetadata {
  readonly clusterId: string;
  /** Another one after the topic was deleted and created anew. */
  readonly topicId: string;
  /** By partition number. */
  readonly partitions: readonly PartitionMetadata[];
  /** The brokers that are there now, by node id. */
  readonly brokers: ReadonlyMap<number, Broker>;
}

export interface PartitionMetadata {
  /** Node id of the leader; -1 while there is none. */
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: number;
}

/**
 * Requests to a cluster beside the library's clients: these ask only the first bootstrap server for metadata, and
 * would wait for it while it is frozen. Works with brokers from Kafka 3.9 on.
 */
export class KafkaCluster {
  readonly #options: ClientOptions;
  readonly #pool: ConnectionPool;
  #brokers = new Map<number, Broker>();
  #firstBroker = 0;

  /** @param requestTimeoutMs for every single request, default 1,000; connecting takes at most 1,000 more */
  constructor(connection: KafkaConnection, requestTimeoutMs = 1_000) {
    this.#options = clientOptions(connection);
    this.#pool = openPool(this.#options, { connectTimeout: 1_000, requestTimeout: requestTimeoutMs, maxInflights: 8 });
  }

  /**
   * What the cluster says about the topic, null when it has none of that name. Asks one broker after another, starting
   * with the one that answered last.
   * @throws DaybookError `log-unavailable`: no broker answered, or access was refused
   */
  async topic(name: string): Promise<TopicMetadata | null> {
    const response = await this.#metadata([name]);
    const topic = response.topics.find((each) => each.name === name);
    if (!topic || topic.errorCode === errorCode.unknownTopic) return null;
    if (topic.errorCode === errorCode.topicAuthorizationFailed) throw unavailable(`Kafka denies access to the topic ${name}: grant this user Describe, Read and Write on it`);
    if (topic.partitions.length === 0) throw unavailable(`Kafka does not know the partitions of the topic ${name} now: ${errorName(topic.errorCode)}`);
    const partitions: PartitionMetadata[] = [];
    for (const { partitionIndex, leaderId, leaderEpoch, replicaNodes } of topic.partitions) {
      partitions[partitionIndex] = { leader: leaderId, leaderEpoch, replicas: replicaNodes.length };
    }
    return { clusterId: response.clusterId ?? '', topicId: topic.topicId, partitions, brokers: this.#brokers };
  }

  /** The brokers that are there now, by node id. @throws DaybookError `log-unavailable` */
  async brokers(): Promise<ReadonlyMap<number, Broker>> {
    await this.#metadata([]);
    return this.#brokers;
  }

  /** A connection to a broker. Rejects when there is none of that node id. */
  connect({ brokers }: TopicMetadata, node: number): Promise<Connection> {
    return connectTo(this.#pool, brokers, node);
  }

  /**
   * For each of the partitions the offset at a timestamp: -1 for the end, -2 for the beginning. Asked of the leaders,
   * which after a change of leadership answer only when they know every acknowledged record.
   * Rejects when any of them did not answer.
   */
  async offsets(topic: string, metadata: TopicMetadata, wanted: Iterable<number>, timestamp: -1 | -2): Promise<Map<number, number>> {
    const byLeader = groupByLeader(wanted, metadata.partitions);
    const found = new Map<number, number>();
    const asked = [...byLeader].map(async ([leader, ofLeader]) => {
      const request = ofLeader.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp: BigInt(timestamp) }));
      const response = await listOffsetsV9.api.async(await this.connect(metadata, leader), -1, 0, [{ name: topic, partitions: request }]);
      for (const { partitionIndex, offset } of response.topics[0]?.partitions ?? []) found.set(partitionIndex, Number(offset));
    });
    await Promise.all(asked);
    return found;
  }

  /** Bounded; requests under way fail. Idempotent. */
  close(): Promise<void> {
    return closePool(this.#pool);
  }

  async #metadata(topics: string[]): Promise<MetadataResponse> {
    const candidates = this.#candidates();
    const failures: unknown[] = [];
    for (let attempt = 0; attempt < candidates.length; attempt += 1) {
      try {
        const connection = await this.#pool.get(candidates[this.#firstBroker % candidates.length] as Broker);
        const response = await metadataV12.api.async(connection, topics, false, false).catch(partlyFailed);
        this.#brokers = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
        return response;
      } catch (error) {
        failures.push(error);
        this.#firstBroker = (this.#firstBroker + 1) % candidates.length;
      }
    }
    const cause = new AggregateError(failures);
    throw unavailable(`No Kafka broker answered (${candidates.map(({ host, port }) => `${host}:${port}`).join(', ')}): ${describeFailure(cause)}${this.#hintFor(cause)}`, cause);
  }

  /** A broker says nothing to a client that speaks otherwise than its listener: it closes the connection. */
  #hintFor(error: unknown): string {
    if (!causesOf(error).some(({ message }) => message === 'Connection closed')) return '';
    if (!this.#options.tls) return '; if the listener speaks TLS, set DAYBOOK_KAFKA_TLS=on';
    return this.#options.sasl ? '' : '; if the listener asks for a login, set DAYBOOK_KAFKA_SASL';
  }

  /** The bootstrap servers, then whatever else the cluster named, each once. */
  #candidates(): Broker[] {
    const named = [...this.#options.bootstrapBrokers, ...this.#brokers.values()];
    return [...new Map(named.map((broker) => [`${broker.host}:${broker.port}`, broker])).values()];
  }
}

export function connectTo(pool: ConnectionPool, brokers: ReadonlyMap<number, Broker>, node: number): Promise<Connection> {
  const broker = brokers.get(node);
  if (!broker) return Promise.reject(new Error(node < 0 ? 'the partition has no leader now' : `no broker with node id ${node} is there now`));
  return pool.get(broker);
}

/** The partitions by the node that leads them; -1 where there is no leader. */
export function groupByLeader(wanted: Iterable<number>, partitions: readonly PartitionMetadata[]): Map<number, number[]> {
  const byLeader = new Map<number, number[]>();
  for (const partition of wanted) {
    const leader = partitions[partition]?.leader ?? -1;
    const others = byLeader.get(leader);
    if (others) others.push(partition);
    else byLeader.set(leader, [partition]);
  }
  return byLeader;
}

/** An unknown topic or a partition without a leader is an error to the library, but the answer is complete. */
function partlyFailed(error: unknown): MetadataResponse {
  if (error instanceof Error && 'response' in error && error.response) return error.response as MetadataResponse;
  throw error;
}

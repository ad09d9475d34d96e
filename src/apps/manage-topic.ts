import { checkTopic, createTopic, type TopicProblem, type TopicSetting } from '../adapters/kafka/kafka-topic.ts';
import { createLogger } from './logging.ts';
import type { Config } from './config.ts';
import { refuseLostTopic } from './wiring/lost-topic.ts';
import { notedTopic } from './wiring/noted-topic.ts';
import { snapshotStoreOf } from './wiring/snapshot-store-of.ts';
import { topicOptionsOf } from './wiring/topic-options-of.ts';

/** The topic beside what a log needs. */
export interface TopicReport {
  readonly topic: string;
  /** Null when it does not exist. */
  readonly found: { readonly topicId: string; readonly partitions: number; readonly replicas: number } | null;
  readonly settings: readonly TopicSetting[];
  /** Empty when it can be the log. */
  readonly problems: readonly TopicProblem[];
}

/**
 * Compares the topic with what a log needs, and with the topic that the data folder knows. Changes nothing.
 * @param config with `kafkaBrokers`
 * @throws DaybookError `log-unavailable`
 */
export async function reportTopic(config: Config): Promise<TopicReport> {
  const { metadata, settings, problems } = await checkTopic(topicOptionsOf(config), notedTopic(config) ?? undefined);
  const partitions = metadata?.partitions ?? [];
  const found = metadata ? { topicId: metadata.topicId, partitions: partitions.length, replicas: Math.min(...partitions.map(({ replicas }) => replicas)) } : null;
  return { topic: config.topic, found, settings, problems };
}

/**
 * Creates the topic as the settings say, where it is missing. One that exists is left as it is.
 * @param config with `kafkaBrokers`
 * @returns whether it was created now, and how the topic is
 * @throws DaybookError `topic-lost`: the data folder or a snapshot knows one that was there
 * @throws DaybookError `log-unavailable`, `snapshot-unavailable`
 */
export async function createMissingTopic(config: Config): Promise<{ readonly created: boolean; readonly report: TopicReport }> {
  const report = await reportTopic(config);
  if (report.found !== null) return { created: false, report };
  const snapshots = snapshotStoreOf(config, createLogger({ level: config.logLevel }));
  try {
    await refuseLostTopic(config, () => snapshots.knownLogs());
  } finally {
    await snapshots.close();
  }
  const created = await createTopic(topicOptionsOf(config));
  return { created, report: await reportTopic(config) };
}

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KnownTopic } from '../../adapters/kafka/kafka-topic.ts';
import type { Config } from '../config.ts';

/** A topic that the roles of a data folder work with. */
export interface NotedTopic extends KnownTopic {
  readonly clusterId: string;
}

/**
 * Which topic the roles of this data folder have worked with: for those that keep no positions, so that they too
 * notice when it is another one. Null: none yet, or nobody can read the note any more.
 */
export function notedTopic(config: Config): Required<NotedTopic> | null {
  try {
    const { clusterId, topicId, partitions } = JSON.parse(readFileSync(noteFile(config), 'utf8')) as NotedTopic;
    const isSound = typeof clusterId === 'string' && typeof topicId === 'string' && Number.isSafeInteger(partitions);
    return isSound ? { clusterId, topicId, partitions, removal: `delete ${noteFile(config)}` } : null;
  } catch {
    // Missing or cut short: what is not known cannot be compared. The next check writes it anew.
    return null;
  }
}

/** @throws when the folder cannot be written */
export function noteTopic(config: Config, topic: NotedTopic): void {
  const file = noteFile(config);
  mkdirSync(join(config.dataDir, 'topics'), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(topic)}\n`);
  renameSync(`${file}.${process.pid}`, file);
}

export function noteFile({ dataDir, topic }: Config): string {
  return join(dataDir, 'topics', `${topic}.json`);
}

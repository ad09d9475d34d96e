import { DaybookError } from '../../domain/errors.ts';
import type { KnownLog } from '../../ports/known-log.ts';
import type { Config } from '../config.ts';
import { noteFile, notedTopic } from './noted-topic.ts';

/** What a process keeps that was derived from the log: snapshots, positions. */
export type KnownLogs = () => Promise<readonly KnownLog[]>;

/**
 * To be asked before a missing topic is created: an empty one in place of one that was there hides that history was
 * lost, and everything derived from that would be taken for its own.
 * @throws DaybookError `topic-lost`: there was one; names what knows it, and how that is removed
 * @throws what `knownLogs` throws: nobody knows now
 */
export async function refuseLostTopic(config: Config, knownLogs: KnownLogs): Promise<void> {
  const noted = notedTopic(config);
  const note = noted && { identity: `${noted.clusterId}/${noted.topicId}`, keptAs: `the note ${noteFile(config)}`, removal: noted.removal };
  const known = [...(await knownLogs()), ...(note ? [note] : [])];
  if (known.length === 0) return;
  const lines = known.map(({ identity, keptAs, removal }) => `- ${keptAs} knows it as ${identity}\n  to give its history up: ${removal}`);
  throw new DaybookError('topic-lost', `topic-lost: the topic ${config.topic} does not exist, and there was one. Restore it; an empty one in its place would hide that history was lost\n${lines.join('\n')}`);
}

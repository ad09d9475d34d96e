import { instantText } from '../../domain/instant.ts';
import type { Positions } from '../../domain/log-record.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventReader } from '../../ports/event-reader.ts';

/** How fresh an answer is. */
export interface AsOf {
  /** By partition, the offset of the next record that the answer does not cover. */
  readonly positions: Readonly<Record<string, number>>;
  /** Everything that the log held at this instant is in the answer; RFC 3339. */
  readonly time: string;
  /** How long the oldest record that is not in the answer has been in the log; 0 when all are. */
  readonly lagMs: number;
}

/** Compares positions with the end of the log. Reads one record per partition that is behind. */
export async function freshnessOf(positions: Positions, reader: EventReader, clock: Clock): Promise<AsOf> {
  const end = await reader.endPositions();
  const nowMs = clock.nowMs();
  const unread = [...end].flatMap(([partition, endOffset]) => {
    const offset = positions.get(partition) ?? 0;
    return offset < endOffset ? [{ partition, offset }] : [];
  });
  const oldest = unread.length === 0 ? [] : await reader.readAt(unread);
  const lagMs = Math.max(0, ...oldest.map((record) => (record ? nowMs - record.timestampMs : 0)));
  return { positions: positionsOf(positions, end), time: instantText(nowMs - lagMs), lagMs };
}

/** For JSON; partitions of which nothing was read yet stand at 0. */
export function positionsOf(positions: Positions, end: Positions): Record<string, number> {
  const partitions = new Set([...end.keys(), ...positions.keys()]);
  return Object.fromEntries([...partitions].map((partition) => [partition, positions.get(partition) ?? 0]));
}

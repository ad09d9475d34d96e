import { EndedTasks } from './ended-tasks.ts';
import type { FoldedTask, PartitionCut, PartitionFold } from './open-tasks.ts';

const tasksPerTurn = 500;
const idsPerTurn = 20_000;
const idBytes = 16;

/** The first line of a body; behind it stand the tasks as lines of JSON, then the ids of UUIDs, 16 bytes each. */
interface Head {
  readonly stretch: number;
  readonly taskBytes: number;
  /** The three sets of ended ids, in the order of `EndedCut`. */
  readonly ended: ReadonlyArray<{ readonly uuids: number; /** Ids that are none. */ readonly others: readonly string[] }>;
}

/**
 * The bytes of a snapshot. Takes its time in turns of a few milliseconds: 10,000 tasks are some 10 MB of JSON, and
 * the partition goes on meanwhile.
 * @param turn lets everybody else work
 */
export async function encodeFold({ tasks, ended }: PartitionCut, turn: () => Promise<void>): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for (let start = 0; start < tasks.length; start += tasksPerTurn) {
    if (start > 0) await turn();
    parts.push(Buffer.from(tasks.slice(start, start + tasksPerTurn).map(lineOf).join('')));
  }
  const taskBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const sets: Array<Head['ended'][number]> = [];
  for (const { ids, count } of ended.sets) {
    const bytes = Buffer.allocUnsafe(count * idBytes);
    const others: string[] = [];
    let taken = 0;
    let uuids = 0;
    for (const id of ids) {
      if (taken === count) break;
      if (taken > 0 && taken % idsPerTurn === 0) await turn();
      taken += 1;
      if (isCompact(id)) bytes.write(id, idBytes * uuids++, 'latin1');
      else others.push(id);
    }
    parts.push(bytes.subarray(0, uuids * idBytes));
    sets.push({ uuids, others });
  }
  const head: Head = { stretch: ended.stretch, taskBytes, ended: sets };
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...parts]);
}

/**
 * Takes turns too: a million ids fill a set for a second or two.
 * @throws when the bytes are not what `encodeFold` makes
 */
export async function decodeFold(body: Uint8Array, turn: () => Promise<void>): Promise<PartitionFold> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const headEnd = bytes.indexOf('\n') + 1;
  const { stretch, taskBytes, ended } = JSON.parse(bytes.toString('utf8', 0, headEnd)) as Head;
  const tasks = await tasksIn(bytes.subarray(headEnd, headEnd + taskBytes), turn);
  let at = headEnd + taskBytes;
  const sets: Array<Set<string>> = [];
  for (const { uuids, others } of ended) {
    const ids = new Set(others);
    for (let taken = 1; taken <= uuids; taken += 1, at += idBytes) {
      ids.add(bytes.toString('latin1', at, at + idBytes));
      if (taken % idsPerTurn === 0) await turn();
    }
    sets.push(ids);
  }
  if (at !== bytes.length) throw new Error(`its body has ${bytes.length} bytes and should have ${at}`);
  return { tasks, ended: EndedTasks.restored(stretch, sets) };
}

function lineOf({ taskId, acceptedOffset, state }: FoldedTask): string {
  return `${JSON.stringify({ taskId, acceptedOffset, state } satisfies FoldedTask)}\n`;
}

/** Line by line: all of them as one text could be longer than a text may be. */
async function tasksIn(bytes: Buffer, turn: () => Promise<void>): Promise<FoldedTask[]> {
  const tasks: FoldedTask[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf('\n', start);
    tasks.push(JSON.parse(bytes.toString('utf8', start, end)) as FoldedTask);
    start = end + 1;
    if (tasks.length % tasksPerTurn === 0) await turn();
  }
  return tasks;
}

function isCompact(id: string): boolean {
  return /^[\0-\xff]{16}$/.test(id);
}

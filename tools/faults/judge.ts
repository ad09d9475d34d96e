import type { LogLine } from './log-line.ts';
import { keyOf, sequenceOf, type WrittenLine } from './written-line.ts';

export interface Verdict {
  readonly acknowledged: number;
  readonly unknown: number;
  readonly rejected: number;
  /** Acknowledged, and not at its partition and offset. */
  readonly missing: number;
  /** Places in the log whose record differs from what was written there, or was never written, or was rejected. */
  readonly wrong: number;
  /** Records of a key that stand before an earlier one of the same key. */
  readonly outOfOrder: number;
  /** Copies of a record, equal byte by byte, that a repeated append left. */
  readonly duplicates: number;
  /** Records that the product's reader skipped, repeated or changed, compared with kcat. */
  readonly misread: number;
  /** What is not so, in words; the first few. */
  readonly problems: readonly string[];
}

const toldProblems = 10;

/**
 * Compares what the writer was promised with what stands in the log.
 * @param written by the writer, in the order of their ends
 * @param log all records, by kcat, each partition in the order of its offsets
 * @param read the same by the product's reader, in the order it handed them over
 */
export function judge(written: readonly WrittenLine[], log: readonly LogLine[], read: readonly LogLine[]): Verdict {
  const problems: string[] = [];
  const tell = (problem: string): void => void (problems.length < toldProblems && problems.push(problem));
  const found = new Map(log.map((line) => [placeOf(line), line]));
  const { missing, misplaced } = findMissing(written, found, tell);
  const wrong = new Set([...misplaced, ...findForeign(written, log, tell), ...findGaps(log, tell)]);
  return {
    acknowledged: count(written, 'acknowledged'),
    unknown: count(written, 'unknown'),
    rejected: count(written, 'rejected'),
    missing,
    wrong: wrong.size,
    outOfOrder: countOutOfOrder(written, tell) + countLateFirsts(log, tell),
    duplicates: log.length - new Set(log.map(eventOf)).size,
    misread: countMisread(log, read, tell),
    problems,
  };
}

type Tell = (problem: string) => void;

function count(written: readonly WrittenLine[], end: WrittenLine['end']): number {
  return written.filter((line) => line.end === end).length;
}

/** Every acknowledged record stands at its place. */
function findMissing(written: readonly WrittenLine[], found: ReadonlyMap<string, LogLine>, tell: Tell): { missing: number; misplaced: string[] } {
  let missing = 0;
  const misplaced: string[] = [];
  for (const { end, event, partition, offset, sha256 } of written) {
    if (end !== 'acknowledged') continue;
    const place = `${partition}:${offset}`;
    const there = found.get(place);
    if (!there) {
      missing += 1;
      tell(`${event} was acknowledged at ${place}, where there is nothing`);
    } else if (eventOf(there) !== event || there.key !== keyOf(event) || there.sha256 !== sha256) {
      misplaced.push(place);
      tell(`${event} was acknowledged at ${place}, where ${describe(there)} stands`);
    }
  }
  return { missing, misplaced };
}

/** Every record was written, is what was written, and was not rejected. Copies are held to the same bytes. */
function findForeign(written: readonly WrittenLine[], log: readonly LogLine[], tell: Tell): string[] {
  const expected = new Map<string, string>();
  for (const { end, event, sha256 } of written) if (end !== 'rejected') expected.set(event, sha256);
  const firsts = new Map<string, LogLine>();
  const foreign: string[] = [];
  for (const line of log) {
    const event = eventOf(line);
    const first = firsts.get(event) ?? line;
    firsts.set(event, first);
    if (line.key === keyOf(event) && line.sha256 === expected.get(event) && line.headers === first.headers) continue;
    foreign.push(placeOf(line));
    tell(`at ${placeOf(line)} stands ${describe(line)}, which nobody wrote so`);
  }
  return foreign;
}

/** Nothing here deletes records or writes transactions, so offsets grow by one from 0. */
function findGaps(log: readonly LogLine[], tell: Tell): string[] {
  const next = new Map<number, number>();
  const gaps: string[] = [];
  for (const line of log) {
    const expected = next.get(line.partition) ?? 0;
    next.set(line.partition, line.offset + 1);
    if (line.offset === expected) continue;
    gaps.push(placeOf(line));
    tell(`at ${placeOf(line)} offset ${expected} should follow`);
  }
  return gaps;
}

/** A key's record was appended when the former had been acknowledged, so it stands behind it, in the same partition. */
function countOutOfOrder(written: readonly WrittenLine[], tell: Tell): number {
  const last = new Map<string, WrittenLine>();
  let outOfOrder = 0;
  for (const line of written) {
    if (line.end !== 'acknowledged') continue;
    const former = last.get(keyOf(line.event));
    last.set(keyOf(line.event), line);
    if (!former || isBehind(former, line)) continue;
    outOfOrder += 1;
    tell(`${line.event} was acknowledged at ${line.partition}:${line.offset}, though ${former.event} at ${former.partition}:${former.offset}`);
  }
  return outOfOrder;
}

function isBehind(former: WrittenLine, line: WrittenLine): boolean {
  const inOrder = sequenceOf(former.event) < sequenceOf(line.event) && (former.offset ?? NaN) < (line.offset ?? NaN);
  return inOrder && former.partition === line.partition;
}

/** Readers go by the first copy of an event: also these stand in order, those included that nobody was told of. */
function countLateFirsts(log: readonly LogLine[], tell: Tell): number {
  const seen = new Set<string>();
  const highest = new Map<string, number>();
  let late = 0;
  for (const line of log) {
    const event = eventOf(line);
    if (seen.has(event)) continue;
    seen.add(event);
    const sequence = sequenceOf(event);
    const before = highest.get(line.key) ?? 0;
    highest.set(line.key, Math.max(before, sequence));
    if (sequence > before) continue;
    late += 1;
    tell(`${event} appears for the first time at ${placeOf(line)}, behind ${line.key}/${before}`);
  }
  return late;
}

function countMisread(log: readonly LogLine[], read: readonly LogLine[], tell: Tell): number {
  const left = byPartition(log);
  let misread = 0;
  const meet = (problem: string): void => {
    misread += 1;
    tell(`the reader ${problem}`);
  };
  const next = new Map<number, number>();
  for (const line of read) {
    const lines = left.get(line.partition) ?? [];
    const index = next.get(line.partition) ?? 0;
    const expected = lines[index];
    if (expected && isSame(expected, line)) next.set(line.partition, index + 1);
    else meet(`handed over ${placeOf(line)} (${describe(line)}) where ${expected ? placeOf(expected) : 'nothing'} was next`);
  }
  for (const [partition, lines] of left) {
    for (const line of lines.slice(next.get(partition) ?? 0)) meet(`did not hand over ${placeOf(line)} in its turn`);
  }
  return misread;
}

function byPartition(log: readonly LogLine[]): Map<number, LogLine[]> {
  const lists = new Map<number, LogLine[]>();
  for (const line of log) {
    const list = lists.get(line.partition);
    if (list) list.push(line);
    else lists.set(line.partition, [line]);
  }
  return lists;
}

function isSame(one: LogLine, other: LogLine): boolean {
  return one.offset === other.offset && one.key === other.key && one.headers === other.headers && one.sha256 === other.sha256;
}

function eventOf({ headers }: LogLine): string {
  return /(?:^|,)ce_id=([^,]*)/.exec(headers)?.[1] ?? '';
}

function placeOf({ partition, offset }: LogLine): string {
  return `${partition}:${offset}`;
}

function describe(line: LogLine): string {
  return `${eventOf(line) || 'a record without an id'} (key ${line.key}, sha256 ${line.sha256.slice(0, 8)}…)`;
}

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { judge, type Verdict } from './judge.ts';
import { parseKcatLine, sha256Of, type LogLine } from './log-line.ts';
import type { WrittenLine } from './written-line.ts';

// The beginning of two partitions, as a run of `make faults` recorded it; each key has two records.
const written = linesOf('written.jsonl').map((line) => JSON.parse(line) as WrittenLine);
const log = linesOf('kcat.tsv').map(parseKcatLine);
const read = linesOf('read.jsonl').map((line) => JSON.parse(line) as LogLine);
const clean = { missing: 0, wrong: 0, outOfOrder: 0, duplicates: 0, misread: 0, problems: [] };

it('finds nothing in what was recorded', () => {
  expect(judge(written, log, read)).toEqual({ ...clean, acknowledged: written.length, unknown: 0, rejected: 0 });
  expect(log).toHaveLength(written.length);
});

it('misses an acknowledged record that is gone from the end of its partition', () => {
  const lost = log.filter((line) => line !== lastOfPartition());
  const verdict = judge(written, lost, lost);
  expect(verdict).toMatchObject({ ...clean, missing: 1, problems: [expect.stringContaining('where there is nothing')] });
});

it('notices a record that is gone from the middle, where others moved up', () => {
  const [first] = log;
  const moved = log.filter((line) => line !== first).map((line) => (line.partition === first?.partition ? { ...line, offset: line.offset - 1 } : line));
  expect(judge(written, moved, moved)).toMatchObject({ missing: 1, wrong: inPartition(first).length - 1 });
});

it('notices a hole in the offsets', () => {
  const [first, second] = log;
  const holed = log.filter((line) => line !== second);
  expect(judge(written.filter((line) => !isAt(line, second)), holed, holed)).toMatchObject({ missing: 0, wrong: 1 });
  expect(first?.offset).toBe(0);
});

it('notices one altered byte of a value, a key or an event id', () => {
  const line = linesOf('kcat.tsv')[3] ?? '';
  const altered = [line.replace(/"text":"./, '"text":"x'), line.replace(/\ttask-\d/, '\ttask-x'), line.replace('ce_id=', 'ce_id=x')];
  for (const each of altered) {
    const changed = log.with(3, parseKcatLine(each));
    expect(judge(written, changed, changed)).toMatchObject({ missing: 0, wrong: 1 });
  }
});

it('notices two records of a key that changed places', () => {
  const swapped = swapTwoOf(log, log[0]?.key ?? '');
  expect(judge(written, swapped, swapped)).toMatchObject({ missing: 0, wrong: 2, outOfOrder: 1 });
});

it('notices two records that were acknowledged at each other’s place', () => {
  const mine = written.filter(({ event }) => event.startsWith(`${log[0]?.key}/`));
  const [one, other] = mine;
  const at = (line: WrittenLine, place: WrittenLine | undefined): WrittenLine => ({ ...line, ...(place && { partition: place.partition ?? 0, offset: place.offset ?? 0 }) });
  const swapped = written.map((line) => (line === one ? at(line, other) : line === other ? at(line, one) : line));
  expect(judge(swapped, log, read)).toMatchObject({ wrong: 2, outOfOrder: 1 });
});

it('notices what nobody was told of: a first copy that stands behind a later record', () => {
  const [one, other] = written.filter(({ event }) => event.startsWith(`${log[0]?.key}/`));
  const unknown = written.map((line): WrittenLine => (line === one || line === other ? { end: 'unknown', event: line.event, sha256: line.sha256, atMs: line.atMs } : line));
  const swapped = swapTwoOf(log, log[0]?.key ?? '');
  expect(judge(unknown, swapped, swapped)).toMatchObject({ missing: 0, wrong: 0, outOfOrder: 1 });
});

it('counts an equal copy, and takes one with other bytes for wrong', () => {
  const copy = { ...lastOfPartition(), offset: lastOfPartition().offset + 1 };
  expect(judge(written, [...log, copy], [...read, copy])).toMatchObject({ ...clean, duplicates: 1 });
  for (const other of [{ ...copy, sha256: sha256Of(Buffer.from('other')) }, { ...copy, headers: `${copy.headers},more=1` }]) {
    expect(judge(written, [...log, other], [...read, other])).toMatchObject({ wrong: 1, duplicates: 1 });
  }
});

it('takes a record that was rejected, or that nobody wrote, for wrong', () => {
  const [line] = written;
  const rejected = written.map((each): WrittenLine => (each === line ? { end: 'rejected', event: each.event, sha256: each.sha256, atMs: each.atMs } : each));
  expect(judge(rejected, log, read)).toMatchObject({ missing: 0, wrong: 1 });
  expect(judge(written.filter((each) => each !== line), log, read)).toMatchObject({ missing: 0, wrong: 1 });
});

it('notices what the reader skipped, repeated, changed or invented', () => {
  const [first] = read;
  const changed = read.map((line) => (line === first ? { ...line, sha256: sha256Of(Buffer.from('other')) } : line));
  const invented: LogLine = { partition: 99, offset: 0, key: 'task-x', headers: 'ce_id=task-x/1', sha256: sha256Of(Buffer.from('other')) };
  const readings = [read.slice(1), read.slice(0, -1), [...read, ...read.slice(-1)], [...read.slice(0, 1), ...read], changed, [...read, invented]];
  for (const reading of readings) expect(misreadIn(reading)).toBeGreaterThan(0);
});

it('refuses a line of kcat that is not one record', () => {
  const line = linesOf('kcat.tsv')[0] ?? '';
  expect(() => parseKcatLine(line.slice(0, -1))).toThrow('not one record');
  expect(() => parseKcatLine('')).toThrow('not one record');
});

function misreadIn(reading: readonly LogLine[]): number {
  const { misread, ...others }: Verdict = judge(written, log, reading);
  expect(others).toMatchObject({ missing: 0, wrong: 0, outOfOrder: 0 });
  return misread;
}

/** Exchanges the places of the key's first two records. */
function swapTwoOf(lines: readonly LogLine[], key: string): LogLine[] {
  const [one, other] = lines.filter((line) => line.key === key);
  if (!one || !other) throw new Error(`${key} has no two records`);
  return lines.map((line) => (line === one ? { ...other, offset: one.offset } : line === other ? { ...one, offset: other.offset } : line));
}

function lastOfPartition(): LogLine {
  return inPartition(log[0]).at(-1) as LogLine;
}

function inPartition(line: LogLine | undefined): LogLine[] {
  return log.filter(({ partition }) => partition === line?.partition);
}

function isAt({ partition, offset }: WrittenLine, line: LogLine | undefined): boolean {
  return partition === line?.partition && offset === line?.offset;
}

function linesOf(file: string): string[] {
  return readFileSync(new URL(`recorded/${file}`, import.meta.url), 'latin1').split('\n').filter((line) => line !== '');
}

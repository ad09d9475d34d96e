// A process of `make faults`: appends through the product's appender, and notes how each append ended.
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { KafkaEventAppender } from '../../src/adapters/kafka/kafka-event-appender.ts';
import { hasCode } from '../../src/domain/errors.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import { sha256Of } from './log-line.ts';
import type { WrittenLine } from './written-line.ts';

const { brokers, topic, file, keys, roundMs } = JSON.parse(process.argv[2] ?? '') as {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly file: string;
  readonly keys: number;
  /** How often every key that has nothing under way appends. */
  readonly roundMs: number;
};

/** One key: its next record is appended when the former was acknowledged; one whose end is unknown is appended again. */
interface Lane {
  readonly key: string;
  sequence: number;
  record: LogRecord;
  underWay: boolean;
  unconfirmed: boolean;
}

const appender = new KafkaEventAppender({ connection: { brokers, clientId: 'faults-writer' }, topic });
const output = openSync(file, 'w');
const progress = { acknowledged: 0, unknown: 0, rejected: 0, lastAcknowledgedMs: 0, lastProblem: '' };
const lanes = Array.from({ length: keys }, (_, index): Lane => {
  const key = `task-${String(index + 1).padStart(4, '0')}`;
  return { key, sequence: 1, record: recordOf(key, 1), underWay: false, unconfirmed: false };
});
let lines: string[] = [];
let stopping = false;

const rounds = setInterval(round, roundMs);
const reports = setInterval(report, 200);
process.once('disconnect', () => process.exit(1));
process.once('message', () => {
  stopping = true;
});

function round(): void {
  // Once stopping, only what is still unconfirmed is tried again: it may be in the log, and its key's last word is owed.
  for (const lane of lanes) if (!lane.underWay && (!stopping || lane.unconfirmed)) void append(lane);
  if (stopping && lanes.every(({ underWay, unconfirmed }) => !underWay && !unconfirmed)) void finish();
}

async function append(lane: Lane): Promise<void> {
  const { key, sequence, record } = lane;
  const event = `${key}/${sequence}`;
  const sha256 = sha256Of(record.value);
  lane.underWay = true;
  try {
    const { partition, offset } = await appender.append(record);
    note({ end: 'acknowledged', event, sha256, atMs: Date.now(), partition, offset });
    advance(lane);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const isUnknown = hasCode(error, 'log-unavailable');
    note({ end: isUnknown ? 'unknown' : 'rejected', event, sha256, atMs: Date.now(), problem: error.message });
    progress.lastProblem = error.message;
    if (isUnknown) lane.unconfirmed = true;
    else advance(lane);
  }
  lane.underWay = false;
}

function advance(lane: Lane): void {
  lane.sequence += 1;
  lane.record = recordOf(lane.key, lane.sequence);
  lane.unconfirmed = false;
}

/** The text differs from record to record and does not compress well, so that no value passes for another. */
function recordOf(key: string, sequence: number): LogRecord {
  const text = sha256Of(Buffer.from(`${topic}/${key}/${sequence}`));
  return {
    key,
    headers: [['ce_id', `${key}/${sequence}`], ['ce_type', 'TaskExecutionProgressed'], ['content-type', 'application/json']],
    value: Buffer.from(JSON.stringify({ key, sequence, text })),
  };
}

function note(line: WrittenLine): void {
  progress[line.end] += 1;
  if (line.end === 'acknowledged') progress.lastAcknowledgedMs = line.atMs;
  lines.push(`${JSON.stringify(line)}\n`);
}

function report(): void {
  appendFileSync(output, lines.join(''));
  lines = [];
  process.send?.(progress);
}

async function finish(): Promise<void> {
  clearInterval(rounds);
  clearInterval(reports);
  await appender.close();
  report();
  closeSync(output);
  process.disconnect?.();
  process.exit(0);
}

import type { JsonValue } from '../../client/answers.ts';
import { hopelessCount, webhookCount } from './demo-plan.ts';
import type { IndependentChecksums } from './independent-checksums.ts';
import type { LogSummary } from './read-log.ts';
import type { PlayedTask } from './run-plan.ts';

/** Everything the demo found out, from sources that do not know each other. */
export interface DemoEvidence {
  readonly played: readonly PlayedTask[];
  readonly checksums: IndependentChecksums;
  /** Files that changed while the demo ran: their checksums prove nothing. */
  readonly changedFiles: ReadonlySet<string>;
  /** What the receiver of the webhooks counted, by idempotency key. */
  readonly deliveries: ReadonlyMap<string, { readonly calls: number; readonly effects: number }>;
  readonly log: LogSummary;
  /** Tasks that the diary lists. */
  readonly listed: number;
}

export interface DemoCheck {
  readonly name: string;
  readonly expected: number;
  readonly found: number;
  readonly note: string;
}

export interface DemoVerdict {
  readonly checks: readonly DemoCheck[];
  /** One sentence per wrong result. Empty: everything was right. */
  readonly wrong: readonly string[];
  /** From acceptance to the end, of the tasks that needed one attempt; null when there was none. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | null;
}

/** Compares what was found with what was designed. Pure. */
export function judgeDemo(evidence: DemoEvidence): DemoVerdict {
  const checks = [...stateChecks(evidence), checksumCheck(evidence), ...webhookChecks(evidence), ...historyChecks(evidence)];
  const miscounted = checks.filter(isWrong).map(({ name, expected, found }) => `${name}: expected ${expected}, found ${found}`);
  const particular = [...evidence.played.flatMap((task) => wrongsOf(task, evidence)), ...wrongDeliveries(evidence)];
  // A count that is off tells nothing more where its causes are known one by one.
  return { checks, wrong: particular.length > 0 ? particular : miscounted, latencyMs: latencies(evidence.played) };
}

export function isWrong({ expected, found }: DemoCheck): boolean {
  return expected !== found;
}

function stateChecks({ played }: DemoEvidence): DemoCheck[] {
  const planned = (state: string) => played.filter(({ plan }) => plan.state === state).length;
  const ended = (state: string) => played.filter(({ plan, view }) => plan.state === state && view?.state === state).length;
  const retries = (attempts: (task: PlayedTask) => number) =>
    played.reduce((sum, task) => sum + Math.max(0, attempts(task) - 1), 0);
  return [
    { name: 'accepted', expected: played.length, found: count(played, ({ submitted }) => submitted !== null), note: '202 after the log had it' },
    { name: 'completed', expected: planned('completed'), found: ended('completed'), note: '' },
    { name: 'failed as designed', expected: planned('failed'), found: ended('failed'), note: `${hopelessCount} hopeless tasks, 3 attempts each` },
    {
      name: 'retried',
      expected: retries(({ plan }) => plan.attempts),
      found: retries(({ view }) => view?.attempt ?? 0),
      note: 'attempts beyond the first',
    },
  ];
}

function checksumCheck(evidence: DemoEvidence): DemoCheck {
  const { played, changedFiles, checksums } = evidence;
  const judged = played.filter(({ plan }) => plan.file !== undefined && !changedFiles.has(plan.file.path));
  const left = changedFiles.size === 0 ? '' : `; ${changedFiles.size} changed meanwhile and are not judged`;
  return {
    name: 'checksums right',
    expected: judged.length,
    found: count(judged, (task) => checksumTrouble(task, evidence) === null),
    note: `compared with ${checksums.by}${left}`,
  };
}

function webhookChecks({ deliveries }: DemoEvidence): DemoCheck[] {
  const calls = [...deliveries.values()].reduce((sum, delivery) => sum + delivery.calls, 0);
  return [
    {
      name: 'webhook effects',
      expected: webhookCount,
      found: count([...deliveries.values()], ({ effects }) => effects === 1),
      note: `once per key, in ${calls} calls`,
    },
  ];
}

function historyChecks({ played, log, listed }: DemoEvidence): DemoCheck[] {
  const receipts = played.flatMap(({ submitted }) => (submitted === null ? [] : [submitted.receipt]));
  return [
    {
      name: 'receipts right',
      expected: receipts.length,
      found: count(receipts, ({ partition, offset, sha256 }) => log.digests.get(`${partition}/${offset}`) === sha256),
      note: 'each names its record in the log, and the SHA-256 of it',
    },
    { name: 'listed by the diary', expected: played.length, found: listed, note: '' },
  ];
}

function wrongsOf(task: PlayedTask, evidence: DemoEvidence): string[] {
  const { plan, view, trouble } = task;
  const name = `${plan.idempotencyKey} (${task.submitted?.id ?? 'not accepted'})`;
  if (trouble !== null || view === null) return [`${name}: ${trouble ?? 'has no end'}`];
  if (view.state !== plan.state) return [`${name}: expected ${plan.state}, is ${view.state}${view.error ? `: ${view.error.message}` : ''}`];
  if (view.attempt !== plan.attempts) return [`${name}: expected ${plan.attempts} attempts, had ${view.attempt}`];
  const checksum = checksumTrouble(task, evidence);
  return checksum === null ? [] : [`${name}: ${checksum}`];
}

/** Null when the result is right, or the file is not judged. */
function checksumTrouble({ plan, view }: PlayedTask, { checksums, changedFiles }: DemoEvidence): string | null {
  const { file } = plan;
  if (file === undefined || changedFiles.has(file.path)) return null;
  const { sha256, bytes } = (view?.result ?? {}) as Readonly<Record<string, JsonValue | undefined>>;
  const expected = checksums.sums.get(file.path);
  if (expected === undefined) return `${file.path} could not be computed by ${checksums.by}`;
  if (sha256 !== expected) return `${file.path} has SHA-256 ${expected}, the task says ${String(sha256)}`;
  return bytes === file.bytes ? null : `${file.path} has ${file.bytes} bytes, the task says ${String(bytes)}`;
}

function wrongDeliveries({ deliveries }: DemoEvidence): string[] {
  return [...deliveries]
    .filter(([, { effects }]) => effects !== 1)
    .map(([key, { effects, calls }]) => `webhook ${key}: ${effects} effects in ${calls} calls`);
}

function latencies(played: readonly PlayedTask[]): DemoVerdict['latencyMs'] {
  const durations = played
    .filter(({ view }) => view?.state === 'completed' && view.attempt === 1)
    .map(({ view }) => Date.parse(view?.finishedAt ?? '') - Date.parse(view?.acceptedAt ?? ''))
    .sort((one, other) => one - other);
  const [first] = durations;
  return first === undefined ? null : { p50: quantile(durations, 0.5), p99: quantile(durations, 0.99) };
}

function quantile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
}

function count<Item>(items: readonly Item[], matches: (item: Item) => boolean): number {
  return items.filter(matches).length;
}

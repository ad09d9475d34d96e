import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { version as kafkaVersion } from '../brokers/kafka.mjs';
import { describeMachine } from '../../bench/machine.mjs';

/** @param results `[{ each, verdict }]`, or `{ each, error }` where the case could not be done */
export function reportOf(results) {
  const verdicts = results.flatMap(({ verdict }) => verdict ?? []);
  const sum = (name) => whole(verdicts.reduce((total, verdict) => total + verdict[name], 0));
  return [
    '| Case | acknowledged | unknown / rejected | longest gap with a majority | return to first acknowledgement (kcat’s) | missing | wrong | out of order | duplicates | misread |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...results.map(rowOf),
    `| **together** | ${sum('acknowledged')} | ${sum('unknown')} / ${sum('rejected')} | | | ${sum('missing')} | ${sum('wrong')} | ${sum('outOfOrder')} | ${sum('duplicates')} | ${sum('misread')} |`,
    '',
    ...results.map(({ each, verdict, error }) => `- ${each.name}: ${error ? `not done: ${error.message}` : [...verdict.proofs, ...verdict.problems].join('; ')}`),
    '',
    `Kafka ${kafkaVersion}, ${kcatVersion()}, @platformatic/kafka ${clientVersion()}; ${describeMachine()}.`,
    '',
  ].join('\n');
}

/** Whether the product kept its word in this case. */
export function isGood({ verdict }) {
  return verdict !== undefined && ['missing', 'wrong', 'outOfOrder', 'misread'].every((name) => verdict[name] === 0);
}

function rowOf({ each, verdict, error }) {
  if (error) return `| ${each.title} | **not done** | | | | | | | | |`;
  const { acknowledged, unknown, rejected, longestGapMs, firstAfterReturnMs, kcatAfterReturnMs, missing, wrong, outOfOrder, duplicates, misread } = verdict;
  const afterReturn = firstAfterReturnMs === null ? '' : `${seconds(firstAfterReturnMs)} (${seconds(kcatAfterReturnMs)})`;
  const cells = [whole(acknowledged), `${whole(unknown)} / ${rejected}`, seconds(longestGapMs), afterReturn, missing, wrong, outOfOrder, whole(duplicates), misread];
  return `| ${each.title} | ${cells.join(' | ')} |`;
}

const whole = (count) => count.toLocaleString('en-US');
const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;

function kcatVersion() {
  return /Version ([\d.]+) \(.*?librdkafka ([\d.]+)/.exec(spawnSync('kcat', ['-V'], { encoding: 'utf8' }).stdout)?.slice(1).join(' on librdkafka ').replace(/^/, 'kcat ') ?? 'kcat';
}

function clientVersion() {
  return JSON.parse(readFileSync(new URL('../../node_modules/@platformatic/kafka/package.json', import.meta.url), 'utf8')).version;
}

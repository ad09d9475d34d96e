// Prints the figures as a table and holds them against the targets.
import { median } from './figures.mjs';

const headings = [
  ['', 'submitted', 'completed', 'visible', 'submit ms', '', 'to completed ms', '', 'CPU us per task'],
  ['', '/s', '/s', '/s', 'p50', 'p99', 'p50', 'p99', 'in all'],
];

/** One row a case; `results` is `{name: {title, median}}`. */
export function printTable(results) {
  const rows = Object.values(results).map(({ title, median: figures }) => [
    title,
    rate(figures.submitPerSecond),
    rate(figures.completedPerSecond),
    rate(figures.visiblePerSecond),
    latency(figures.submitP50Ms),
    latency(figures.submitP99Ms),
    latency(figures.doneP50Ms),
    latency(figures.doneP99Ms),
    cpu(figures),
  ]);
  const widths = headings[0].map((_, column) => Math.max(...[...headings, ...rows].map((row) => row[column].length)));
  const line = (row) => row.map((cell, column) => (column % 8 === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ').trimEnd();
  for (const row of headings) console.log(line(row));
  console.log('─'.repeat(Math.max(...[...headings, ...rows].map((row) => line(row).length))));
  for (const row of rows) console.log(line(row));
}

/**
 * The targets that the measured cases allow to judge. A ratio is taken within each repetition, where both sides had
 * the same machine, and the median of those counts.
 */
export function judgeTargets(results) {
  const ratio = (name, figure, otherName, otherFigure) => {
    const [runs, others] = [results[name]?.runs, results[otherName]?.runs];
    return runs && others ? median(runs.map((run, index) => run[figure] / others[index][otherFigure])) : null;
  };
  const completed = 'completedPerSecond';
  return [
    { target: 'in process, completed/s: 1.5 × BullMQ', least: 1.5, reached: ratio('in-process', completed, 'bullmq', completed) },
    { target: 'by HTTP, completed/s: 1 × BullMQ', least: 1, reached: ratio('http', completed, 'bullmq', completed) },
    { target: 'on brokers, in process, 4 partitions, no claims, completed/s: 0.6 × BullMQ', least: 0.6, reached: ratio('brokers-lean', completed, 'bullmq', completed) },
    { target: 'on brokers, by HTTP, completed/s: 0.4 × BullMQ', least: 0.4, reached: ratio('brokers-http', completed, 'bullmq', completed) },
    { target: 'diary keeps up in process: visible/s 0.9 × completed/s', least: 0.9, reached: ratio('in-process', 'visiblePerSecond', 'in-process', completed) },
    { target: 'diary keeps up by HTTP: visible/s 0.9 × completed/s', least: 0.9, reached: ratio('http', 'visiblePerSecond', 'http', completed) },
    { target: 'diary keeps up on brokers by HTTP: visible/s 0.9 × completed/s', least: 0.9, reached: ratio('brokers-http', 'visiblePerSecond', 'brokers-http', completed) },
    { target: `on brokers at 100/s: done within 10 ms (p50), as a part of it`, least: 1, reached: within10Ms(results['brokers-steady']) },
  ].filter(({ reached }) => reached !== null);
}

/** How often the median task fits into 10 ms. */
function within10Ms(result) {
  return result ? 10 / result.median.doneP50Ms : null;
}

export function printTargets(targets) {
  if (targets.length === 0) return;
  console.log('\ntargets');
  const width = Math.max(...targets.map(({ target }) => target.length));
  for (const { target, least, reached } of targets) {
    console.log(`  ${target.padEnd(width)}  ${reached.toFixed(2)} ×  ${reached >= least ? 'reached' : 'MISSED'}`);
  }
}

function rate(perSecond) {
  if (perSecond === null) return '–';
  return perSecond >= 1_000 ? Math.round(perSecond / 10) * 10 + '' : perSecond.toFixed(1);
}

function latency(ms) {
  return ms >= 100 ? ms.toFixed(0) : ms.toFixed(1);
}

function cpu({ cpuUs, cpuUsInAll }) {
  const parts = Object.entries(cpuUs);
  const text = (us) => (Number.isNaN(us) ? '–' : us.toFixed(0));
  if (parts.length === 1) return text(cpuUsInAll);
  return `${text(cpuUsInAll)} = ${parts.map(([name, us]) => `${text(us)} ${name}`).join(' + ')}`;
}

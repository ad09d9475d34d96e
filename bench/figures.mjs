// From measured samples to the figures that are printed.

/** Rates in tasks per second, latencies in milliseconds, CPU in microseconds per task and process. */
export function figuresOf({ samples, cpuMs, visibleMs }) {
  const count = samples.length;
  const firstMs = least(samples.map(({ startMs }) => startMs));
  const perSecond = (lastMs) => (count * 1_000) / (lastMs - firstMs);
  const submitMs = samples.map(({ startMs, endMs }) => endMs - startMs);
  const doneMs = samples.map(({ startMs, completedMs }) => completedMs - startMs);
  const cpuUs = Object.fromEntries(Object.entries(cpuMs).map(([name, ms]) => [name, (ms * 1_000) / count]));
  return {
    submitPerSecond: perSecond(greatest(samples.map(({ endMs }) => endMs))),
    completedPerSecond: perSecond(greatest(samples.map(({ completedMs }) => completedMs))),
    visiblePerSecond: visibleMs === null ? null : perSecond(visibleMs),
    submitP50Ms: percentile(submitMs, 0.5),
    submitP99Ms: percentile(submitMs, 0.99),
    doneP50Ms: percentile(doneMs, 0.5),
    doneP99Ms: percentile(doneMs, 0.99),
    cpuUs,
    cpuUsInAll: Object.values(cpuUs).reduce((sum, us) => sum + us, 0),
  };
}

/** Each figure's median over the repetitions of a case, also of the nested ones; null stays null. */
export function medianFigures(runs) {
  const [first] = runs;
  if (first === null) return null;
  if (typeof first === 'number') return median(runs);
  return Object.fromEntries(Object.keys(first).map((name) => [name, medianFigures(runs.map((run) => run[name]))]));
}

export function median(numbers) {
  return percentile(numbers, 0.5);
}

/** The smallest of the numbers that at least `share` of them do not exceed. */
export function percentile(numbers, share) {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

function least(numbers) {
  return numbers.reduce((a, b) => Math.min(a, b));
}

function greatest(numbers) {
  return numbers.reduce((a, b) => Math.max(a, b));
}

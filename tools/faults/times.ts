import type { WrittenLine } from './written-line.ts';

/** One fault as it was done; epoch milliseconds. */
export interface Outage {
  readonly injectedMs: number;
  /** When the processes were started or woken again. */
  readonly returnedMs: number;
  /** When kcat's first record after that was acknowledged. */
  readonly kcatMs: number;
  readonly hadMajority: boolean;
}

export interface Times {
  /** The longest time without an acknowledgement while a majority was there, which it is again when kcat gets one. */
  readonly longestGapMs: number;
  /** From the return of the servers to the first acknowledgement, the slowest of several; null where the majority never left. */
  readonly firstAfterReturnMs: number | null;
  /** The same for kcat. */
  readonly kcatAfterReturnMs: number | null;
}

/** What a caller noticed, from the times of the acknowledgements, at least one of them after the last outage. */
export function timesOf(written: readonly WrittenLine[], outages: readonly Outage[]): Times {
  const times = written.filter(({ end }) => end === 'acknowledged').map(({ atMs }) => atMs);
  const losses = outages.filter(({ hadMajority }) => !hadMajority);
  const slowest = (durationOf: (loss: Outage) => number): number | null => (losses.length === 0 ? null : Math.max(...losses.map(durationOf)));
  return {
    longestGapMs: Math.max(...spansWithMajority(times, losses).map(([fromMs, toMs]) => longestGap(times, fromMs, toMs))),
    firstAfterReturnMs: slowest(({ returnedMs }) => (times.find((time) => time >= returnedMs) ?? NaN) - returnedMs),
    kcatAfterReturnMs: slowest(({ returnedMs, kcatMs }) => kcatMs - returnedMs),
  };
}

/** The last acknowledgement ends the last span: behind it the writer was told to stop. */
function spansWithMajority(times: readonly number[], losses: readonly Outage[]): (readonly [fromMs: number, toMs: number])[] {
  const spans: (readonly [number, number])[] = [];
  let fromMs = times[0] ?? NaN;
  for (const { injectedMs, kcatMs } of losses) {
    spans.push([fromMs, injectedMs]);
    fromMs = kcatMs;
  }
  // One that was away when the writer started has no span before it.
  return [...spans, [fromMs, times.at(-1) ?? NaN] as const].filter(([from, to]) => to > from);
}

function longestGap(times: readonly number[], fromMs: number, toMs: number): number {
  let longestMs = 0;
  let lastMs = fromMs;
  for (const time of [...times.filter((each) => each > fromMs && each < toMs), toMs]) {
    longestMs = Math.max(longestMs, time - lastMs);
    lastMs = time;
  }
  return longestMs;
}

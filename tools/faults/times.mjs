/**
 * What a caller noticed, from the times of the acknowledgements.
 * @returns `longestGapMs`: the longest time without an acknowledgement while a majority was there, which it is again
 *   when kcat gets one; `firstAfterReturnMs`: from the start or waking of the servers to the first acknowledgement, the
 *   slowest of several; `kcatAfterReturnMs`: the same for kcat. The last two are null where the majority never left
 */
export function timesOf(written, outages) {
  const times = written.filter(({ end }) => end === 'acknowledged').map(({ atMs }) => atMs);
  const losses = outages.filter(({ hadMajority }) => !hadMajority);
  const slowest = (durationOf) => (losses.length === 0 ? null : Math.max(...losses.map(durationOf)));
  return {
    longestGapMs: Math.max(...spansWithMajority(times, losses).map(([fromMs, toMs]) => longestGap(times, fromMs, toMs))),
    firstAfterReturnMs: slowest(({ returnedMs }) => times.find((time) => time >= returnedMs) - returnedMs),
    kcatAfterReturnMs: slowest(({ returnedMs, kcatMs }) => kcatMs - returnedMs),
  };
}

/** The last acknowledgement ends the last span: behind it the writer was told to stop. */
function spansWithMajority(times, losses) {
  const spans = [];
  let fromMs = times[0];
  for (const { injectedMs, kcatMs } of losses) {
    spans.push([fromMs, injectedMs]);
    fromMs = kcatMs;
  }
  // One that was away when the writer started has no span before it.
  return [...spans, [fromMs, times.at(-1)]].filter(([from, to]) => to > from);
}

function longestGap(times, fromMs, toMs) {
  let longestMs = 0;
  let lastMs = fromMs;
  for (const time of [...times.filter((each) => each > fromMs && each < toMs), toMs]) {
    longestMs = Math.max(longestMs, time - lastMs);
    lastMs = time;
  }
  return longestMs;
}

// The workload that every case runs, the one task queues publish about themselves: tasks that do nothing, about
// 200 bytes each, submitted one by one with 64 awaited at any time, one worker that runs 64 at once.

export const inFlight = 64;
export const concurrency = 64;
export const payloadBytes = 200;
export const steadyPerSecond = 100;
/** Run in each process before anything is counted: the first thousand tasks mostly measure the compiler. */
export const warmUpTasks = 1_000;

/** A payload whose JSON is `payloadBytes` long; each one differs. */
export function payloadOf(number) {
  const note = `task ${number} `;
  const empty = JSON.stringify({ number, note: '' }).length;
  return { number, note: note.padEnd(payloadBytes - empty, '.') };
}

/** Epoch milliseconds with fractions, so that times of two processes of one machine can be compared. */
export function nowMs() {
  return performance.timeOrigin + performance.now();
}

/**
 * Submits `count` tasks, always `inFlight` of them awaited: a client that waits for its answers.
 * @returns {Promise<Array<{id: string, startMs: number, endMs: number}>>} by order of submission
 */
export async function submitInFlight(submit, count) {
  const samples = new Array(count);
  let next = 0;
  async function lane() {
    while (next < count) {
      const number = next++;
      const startMs = nowMs();
      const id = await submit(number);
      samples[number] = { id, startMs, endMs: nowMs() };
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane));
  return samples;
}

/** A timer of Node may be this late by itself; what is later than that was held up by the system under test. */
const timerGraceMs = 2;

/**
 * Submits `perSecond` tasks a second by the clock, whether earlier ones were answered or not: a stall is then seen
 * by every task that was due in it, as it would be by independent clients.
 * @returns as `submitInFlight`
 */
export async function submitSteadily(submit, count, perSecond) {
  const firstMs = nowMs();
  const answers = [];
  for (let number = 0; number < count; number++) {
    const dueMs = firstMs + (number * 1_000) / perSecond;
    while (nowMs() < dueMs) await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.ceil(dueMs - nowMs()))));
    const calledMs = nowMs();
    const startMs = calledMs - dueMs > timerGraceMs ? dueMs : calledMs;
    answers.push(submit(number).then((id) => ({ id, startMs, endMs: nowMs() })));
  }
  return Promise.all(answers);
}

/** Awaits `condition` by asking again every 5 ms; throws after `limitMs`. */
export async function until(condition, what, limitMs = 60_000) {
  const giveUpMs = nowMs() + limitMs;
  while (!(await condition())) {
    if (nowMs() > giveUpMs) throw new Error(`after ${limitMs / 1_000} s still waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

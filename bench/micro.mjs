// Microseconds of CPU per operation of the steps that every event passes, to find hot spots: `node bench/micro.mjs` after
// `make build`. The events are those of one task of the workload.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EmbeddedEventAppender } from '../dist/adapters/embedded/embedded-event-appender.js';
import { openEmbeddedStore } from '../dist/adapters/embedded/embedded-store.js';
import { RecordBatches } from '../dist/adapters/kafka/record-batches.js';
import { encodeBatch, encodeRecord } from '../dist/adapters/kafka/record-encoder.js';
import { SystemClock } from '../dist/adapters/system/system-clock.js';
import { SystemIds } from '../dist/adapters/system/system-ids.js';
import { acceptTask } from '../dist/domain/acceptance.js';
import { decide, defaultDispatchPolicy } from '../dist/domain/dispatch-policy.js';
import { decodeEvent, encodeEvent, encodeValue } from '../dist/domain/event-codec.js';
import { evolve, fold } from '../dist/domain/evolve.js';
import { instantText, parseInstant } from '../dist/domain/instant.js';
import { canonicalJson } from '../dist/domain/json.js';
import { defaultRetryPolicy } from '../dist/domain/retry-schedule.js';
import { initialState } from '../dist/domain/task-state.js';
import { eventId, sha256Hex } from '../dist/event-producer/event-id.js';
import { EventProducer } from '../dist/event-producer/event-producer.js';
import { median } from './figures.mjs';
import { fsyncMs, processCpu } from './machine.mjs';
import { payloadBytes, payloadOf, submitInFlight } from './workload.mjs';

const rounds = 7;
const roundMs = 100;
const appends = 20_000;

const clock = new SystemClock();
const ids = new SystemIds(clock);
const producer = new EventProducer({ topic: 'bench', append: () => Promise.reject(new Error('not used')) }, clock, '/daybook/bench/1');
const taskId = ids.uuidv7();
const executionId = ids.uuidv7();
const request = { type: 'bench.noop', payload: payloadOf(1) };
const defaults = { queue: 'default', priority: 0, retry: defaultRetryPolicy, timeoutMs: 30_000 };
const context = { submitter: 'anonymous', queues: new Set(['default']) };
const { data: accepted } = acceptTask(request, defaults, context, sha256Hex);
const run = { attempt: 1, executionId, workerId: 'bench-worker' };
const datas = {
  TaskAccepted: accepted,
  TaskDispatched: { attempt: 1, queue: 'default', issue: 1 },
  TaskExecutionStarted: { ...run, issue: 1, queue: 'default', handlerVersion: 1, redelivered: false, guarded: true },
  TaskExecutionCompleted: { ...run, result: null, durationMs: 0.1 },
};
const drafts = Object.entries(datas).map(([type, data]) => ({ type, taskId, taskType: 'bench.noop', taskTypeVersion: 1, tenant: 'default', data }));
const lifecycle = drafts.map((draft) => {
  const { record } = producer.prepare(draft);
  return { draft, record, event: decodeEvent(record) };
});

console.log(`us of CPU per operation, median of ${rounds} rounds; a task of ${payloadBytes} bytes\n`);
measure('canonical JSON of the request', () => canonicalJson(request));
measure('request digest and TaskAccepted data', () => acceptTask(request, defaults, context, sha256Hex));
measure('new task id', () => ids.uuidv7());
const time = instantText(clock.nowMs());
measure('write an instant', () => instantText(clock.nowMs()));
measure('read an instant', () => parseInstant(time));

for (const [index, { draft, record, event }] of lifecycle.entries()) {
  const { type, data } = draft;
  const subject = { taskId, taskType: draft.taskType, taskTypeVersion: 1 };
  const before = fold(taskId, lifecycle.slice(0, index).map((step) => step.event));
  const after = evolve(before, event);
  console.log(`\n${type}, ${record.value.length} bytes`);
  measure('  encode value', () => encodeValue(type, subject, data));
  measure('  event id', () => eventId(type, taskId, data, record.value, undefined));
  measure('  encode record', () => encodeEvent(event, record.value));
  measure('  prepare (these three)', () => producer.prepare(draft));
  measure('  encode for Kafka', () => encodeRecord(record));
  measure('  decode', () => decodeEvent(record));
  measure('  evolve', () => evolve(before, event));
  measure('  decide', () => decide(after, defaultDispatchPolicy, event.timeMs));
}

const events = lifecycle.map(({ event }) => event);
console.log('\nthe whole task');
measure('  prepare its 4 events', () => drafts.forEach((draft) => producer.prepare(draft)));
measure('  decode them', () => lifecycle.forEach(({ record }) => decodeEvent(record)));
measure('  fold them', () => events.reduce(evolve, initialState(taskId)));

const origin = { producerId: 1n, producerEpoch: 0, firstSequence: 0, timestampMs: BigInt(Date.now()) };
console.log('\na batch of encoded records for one partition of Kafka, written and read');
for (const tasks of [1, 4, 32]) {
  const encoded = Array.from({ length: tasks }, () => lifecycle.map(({ record }) => encodeRecord(record))).flat();
  const batch = encodeBatch(encoded, origin);
  measure(`  ${encoded.length} records, ${batch.length} bytes`, () => encodeBatch(encoded, origin));
  measure('    read them', () => new RecordBatches(0, batch, 0).read(encoded.length, []));
}
await measureAppend();

/** Prints the CPU time of one call, which other work on the machine changes least; the first round warms up and does not count. */
function measure(name, operation) {
  const times = [];
  for (let round = 0; round <= rounds; round++) times.push(timeOf(operation));
  print(name, median(times.slice(1)));
}

function timeOf(operation) {
  const before = process.threadCpuUsage();
  let calls = 0;
  let cpuUs = 0;
  for (; cpuUs < roundMs * 1_000; calls += 100) {
    for (let repeat = 0; repeat < 100; repeat++) operation();
    const { user, system } = process.threadCpuUsage(before);
    cpuUs = user + system;
  }
  return cpuUs / calls;
}

async function measureAppend() {
  const parent = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'append-'));
  const store = openEmbeddedStore({ folder, clock });
  const appender = new EmbeddedEventAppender(store);
  const { record } = lifecycle[0];
  await submitInFlight(() => appender.append(record), appends);
  const before = { timeMs: performance.now(), cpuMs: processCpu() };
  await submitInFlight(() => appender.append(record), appends);
  const perAppend = (ms) => (ms * 1_000) / appends;
  console.log(`\nappend to the embedded log, 64 in flight (writing and syncing 4 KiB: ${fsyncMs(folder).toFixed(2)} ms)`);
  print('  time', perAppend(performance.now() - before.timeMs));
  print('  CPU', perAppend(processCpu() - before.cpuMs));
  await store.close();
  rmSync(folder, { recursive: true });
}

function print(name, us) {
  console.log(`${name.padEnd(38)} ${us.toFixed(2).padStart(7)}`);
}

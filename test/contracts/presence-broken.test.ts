import { expect, it } from 'vitest';
import { EmbeddedPresence } from '../../src/adapters/embedded/embedded-presence.ts';
import type { PresenceReader } from '../../src/ports/presence-reader.ts';
import type { Heartbeat } from '../../src/domain/heartbeat.ts';
import type { PresenceWriter } from '../../src/ports/presence-writer.ts';
import type { QueueInspection } from '../../src/ports/queue-inspection.ts';
import { embeddedPresenceHarness, embeddedQueueInspectionHarness } from '../support/embedded-harness.ts';
import { brokenChecks } from './contract.ts';
import { presenceChecks, type PresenceHarness } from './presence.contract.ts';
import { queueInspectionChecks, type InspectedQueue, type QueueInspectionHarness } from './queue-inspection.contract.ts';

// As in broken-adapters.test.ts: each adapter is sound but for one fault. What needs a server that can be taken away
// has its broken adapter beside the sound one's tests.

const presenceHere = presenceChecks.filter(({ needs }) => needs === undefined);
const inspectionHere = queueInspectionChecks.filter(({ needs }) => needs === undefined);

const members = 'tells every member of a heartbeat as it was written';
const order = 'tells the heartbeats of a worker in the order in which they were written';
const everybody = 'tells every reader of every worker';
const bounds = 'does not tell what was written before the start, nor anything after the stop';
const currentness = 'is not current before the start, then becomes so and stays so without any heartbeat, and is not after the stop';
const caughtUp = 'has told everything that was written before it was current the last time';

it.each<[fault: string, (presence: EmbeddedPresence) => PresencePair, broken: readonly string[]]>([
  ['has no fault', (presence) => faulty(presence), []],
  ['loses what a worker holds', (presence) => faulty(presence, { write: (heartbeat) => presence.write({ ...heartbeat, held: [] }) }), [members]],
  ['holds a heartbeat back until the next', (presence) => faulty(presence, holdBack(presence)), [members, order, everybody, bounds, caughtUp]],
  ['lets a newer one overtake', (presence) => faulty(presence, overtake(presence)), [order]],
  ['tells one reader only', (presence) => faulty(presence, {}, firstOnly(presence)), [everybody, bounds]],
  ['tells the past', (presence) => tellPast(presence), [bounds]],
  ['goes on telling after the stop', (presence) => faulty(presence, {}, () => withReader(presence.reader(), { stop: async () => {} })), [bounds, currentness]],
  ['is always current', (presence) => faulty(presence, {}, () => withReader(presence.reader(), { isCurrent: () => true })), [currentness]],
])('a presence that %s is found out', async (_, make, broken) => {
  const create = async (): Promise<PresenceHarness> => {
    const pair = make(new EmbeddedPresence());
    return { ...(await embeddedPresenceHarness()), openWriter: () => pair.writer, openReader: () => pair.reader(), patienceMs: 200 };
  };
  expect((await brokenChecks(presenceHere, { create })).toSorted()).toEqual(broken.toSorted());
});

it.each<[fault: string, (queue: InspectedQueue, sent: () => number) => QueueInspection, broken: readonly string[]]>([
  ['has no fault', ({ inspection }) => inspection, []],
  [
    'counts what consumers hold',
    ({ inspection }, sent) => ({ readyJobs: async (queue) => Math.max((await inspection.readyJobs(queue)) ?? 0, queue === 'default' ? sent() : 0) }),
    [
      'counts the jobs that wait, of each queue its own',
      'does not count what a consumer holds, nor what is done',
      'finds none when consumers hold everything, and counts what they give back',
    ],
  ],
  [
    'counts all queues together',
    ({ inspection }) => ({ readyJobs: async () => ((await inspection.readyJobs('default')) ?? 0) + ((await inspection.readyJobs('heavy')) ?? 0) }),
    ['counts the jobs that wait, of each queue its own'],
  ],
  [
    'takes a job to look at it',
    ({ inspection, receiver }) => ({
      async readyJobs(queue) {
        const ready = await inspection.readyJobs(queue);
        const consumer = receiver.consume(queue, 1, () => {});
        await new Promise((resolve) => setImmediate(resolve));
        await consumer.stop();
        return ready;
      },
    }),
    ['takes no job by looking'],
  ],
  [
    'does not know a queue that does not exist',
    ({ inspection }) => ({ readyJobs: (queue) => (queue === 'default' || queue === 'heavy' ? inspection.readyJobs(queue) : Promise.reject(new Error('404'))) }),
    ['finds no jobs in a queue that does not exist'],
  ],
])('a queue inspection that %s is found out', async (_, make, broken) => {
  const create = async (): Promise<QueueInspectionHarness> => {
    const harness = await embeddedQueueInspectionHarness();
    let sent = 0;
    return {
      ...harness,
      patienceMs: 500,
      async open() {
        const queue = await harness.open();
        const sender = { send: (job: Parameters<InspectedQueue['sender']['send']>[0]) => ((sent += 1), queue.sender.send(job)), queueLostAtMs: () => null };
        return { ...queue, sender, inspection: make(queue, () => sent) };
      },
    };
  };
  expect((await brokenChecks(inspectionHere, { create })).toSorted()).toEqual(broken.toSorted());
});

interface PresencePair {
  readonly writer: PresenceWriter;
  reader(): PresenceReader;
}

function faulty(presence: EmbeddedPresence, writer: Partial<PresenceWriter> = {}, reader = () => presence.reader()): PresencePair {
  return { writer: { write: (heartbeat) => presence.write(heartbeat), ...writer }, reader };
}

function withReader(reader: PresenceReader, fault: Partial<PresenceReader>): PresenceReader {
  return { start: (onHeartbeat) => reader.start(onHeartbeat), isCurrent: () => reader.isCurrent(), stop: () => reader.stop(), ...fault };
}

function holdBack(presence: EmbeddedPresence): PresenceWriter {
  let held: Heartbeat | null = null;
  return {
    async write(heartbeat) {
      if (held) await presence.write(held);
      held = heartbeat;
    },
  };
}

/** The eleventh comes before the tenth. */
function overtake(presence: EmbeddedPresence): PresenceWriter {
  let written = 0;
  let held: Heartbeat | null = null;
  return {
    async write(heartbeat) {
      written += 1;
      if (written === 10) held = heartbeat;
      else await presence.write(heartbeat);
      if (written !== 11 || !held) return;
      await presence.write(held);
    },
  };
}

function firstOnly(presence: EmbeddedPresence): () => PresenceReader {
  let opened = 0;
  return () => {
    const reader = presence.reader();
    opened += 1;
    return opened === 1 ? reader : withReader(reader, { start: () => reader.start(() => {}) });
  };
}

/** Each reader begins with all that was ever written. */
function tellPast(presence: EmbeddedPresence): PresencePair {
  const past: Heartbeat[] = [];
  const reader = () => {
    const inner = presence.reader();
    return withReader(inner, {
      start(onHeartbeat) {
        past.forEach(onHeartbeat);
        inner.start(onHeartbeat);
      },
    });
  };
  return faulty(presence, { write: (heartbeat) => (past.push(heartbeat), presence.write(heartbeat)) }, reader);
}

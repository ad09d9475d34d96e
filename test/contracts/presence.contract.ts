import { expect } from 'vitest';
import { hasCode } from '../../src/domain/errors.ts';
import type { PresenceReader } from '../../src/ports/presence-reader.ts';
import type { Heartbeat } from '../../src/domain/heartbeat.ts';
import type { PresenceWriter } from '../../src/ports/presence-writer.ts';
import { eventually } from '../support/eventually.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

export type PresenceCapability = 'lost contact' | 'other writers';

export interface PresenceHarness extends ContractHarness {
  openWriter(): PresenceWriter;
  openReader(): PresenceReader;
  /** Takes the place where heartbeats are published away; the returned function brings it back. */
  breakPresence(): Promise<() => Promise<void>>;
  /** Publishes something that is no heartbeat. */
  plantUnreadable(): Promise<void>;
  /** Destroys the place with all that is in it, and makes it anew. */
  recreatePlace(): Promise<void>;
  /** How long a write may take to fail. */
  readonly deadlineMs: number;
  /** How long to wait for what must come. */
  readonly patienceMs: number;
}

type Check = ContractCheck<PresenceHarness, PresenceCapability>;

export function presenceContract(adapter: AdapterUnderTest<PresenceHarness, PresenceCapability>): void {
  describeContract('PresenceWriter and PresenceReader', presenceChecks, adapter);
}

const telling: readonly Check[] = [
  {
    name: 'tells every member of a heartbeat as it was written',
    async run(harness) {
      const writer = harness.openWriter();
      const { told } = await listening(harness);
      const written: Heartbeat[] = [
        { ...beat(1), queues: ['default', 'a.b'], concurrency: 16, held: [{ taskId: 'task-ü', attempt: 3 }, { taskId: 'task-2', attempt: 1 }] },
        { ...beat(2), queues: [], stopped: true },
      ];
      for (const each of written) await writer.write(each);
      await eventually(() => told.length === written.length, within(harness));
      expect(told).toEqual(written);
    },
  },
  {
    name: 'tells the heartbeats of a worker in the order in which they were written',
    async run(harness) {
      const writer = harness.openWriter();
      const { told } = await listening(harness);
      for (let number = 1; number <= 30; number += 1) await writer.write(beat(number));
      await eventually(() => told.length === 30, within(harness));
      expect(told.map(({ timeMs }) => timeMs)).toEqual(told.map((_, index) => beat(index + 1).timeMs));
    },
  },
  {
    name: 'tells every reader of every worker',
    async run(harness) {
      const [one, other] = [harness.openWriter(), harness.openWriter()];
      const readers = [await listening(harness), await listening(harness)];
      await Promise.all([one.write(beat(1)), other.write({ ...beat(1), workerId: 'worker-2' })]);
      for (const { told } of readers) {
        await eventually(() => told.length === 2, within(harness));
        expect(told.map(({ workerId }) => workerId).toSorted()).toEqual(['worker-1', 'worker-2']);
      }
    },
  },
  {
    name: 'does not tell what was written before the start, nor anything after the stop',
    async run(harness) {
      const writer = harness.openWriter();
      await writer.write(beat(1));
      const { told, reader } = await listening(harness);
      await writer.write(beat(2));
      await eventually(() => told.length > 0, within(harness));
      await reader.stop();
      await reader.stop();
      const witness = await listening(harness);
      await writer.write(beat(3));
      await eventually(() => witness.told.length > 0, within(harness));
      expect(told).toEqual([beat(2)]);
      expect(witness.told).toEqual([beat(3)]);
    },
  },
];

const beingCurrent: readonly Check[] = [
  {
    name: 'is not current before the start, then becomes so and stays so without any heartbeat, and is not after the stop',
    async run(harness) {
      const reader = harness.openReader();
      expect(reader.isCurrent()).toBe(false);
      reader.start(() => {});
      for (let times = 0; times < 3; times += 1) await eventually(() => reader.isCurrent(), within(harness));
      await reader.stop();
      expect(reader.isCurrent()).toBe(false);
    },
  },
  {
    name: 'has told everything that was written before it was current the last time',
    async run(harness) {
      const writer = harness.openWriter();
      const { told, reader } = await listening(harness);
      for (let number = 1; number <= 5; number += 1) await writer.write(beat(number));
      await eventually(() => told.length === 5 && reader.isCurrent(), within(harness));
    },
  },
  {
    name: 'is not current while heartbeats cannot be published, refuses them in time, and goes on by itself, in order',
    needs: 'lost contact',
    async run(harness) {
      const writer = harness.openWriter();
      const { told, reader } = await listening(harness);
      await writer.write(beat(1));
      const mend = await harness.breakPresence();
      const startedMs = performance.now();
      await expect(writer.write(beat(2))).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable'));
      expect(performance.now() - startedMs).toBeLessThan(harness.deadlineMs);
      await eventually(() => !reader.isCurrent(), within(harness));
      await mend();
      await eventually(async () => writer.write(beat(3)).then(() => true), within(harness));
      await eventually(() => reader.isCurrent() && told.some(({ timeMs }) => timeMs === beat(3).timeMs), within(harness));
      // Whether the refused one arrived or not is open; never does it come behind a newer one.
      const times = told.map(({ timeMs }) => timeMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times).toContain(beat(1).timeMs);
    },
  },
  {
    name: 'goes on by itself when the place was destroyed and made anew',
    needs: 'other writers',
    async run(harness) {
      const writer = harness.openWriter();
      const { told, reader } = await listening(harness);
      await writer.write(beat(1));
      await eventually(() => told.length === 1, within(harness));
      await harness.recreatePlace();
      await eventually(async () => {
        await writer.write(beat(2)).catch(() => undefined);
        return told.length > 1;
      }, within(harness));
      await eventually(() => reader.isCurrent(), within(harness));
    },
  },
  {
    name: 'passes over what is no heartbeat, and tells what comes behind it',
    needs: 'other writers',
    async run(harness) {
      const writer = harness.openWriter();
      const { told } = await listening(harness);
      await harness.plantUnreadable();
      await writer.write(beat(1));
      await eventually(() => told.length === 1, within(harness));
      expect(told).toEqual([beat(1)]);
    },
  },
];

export const presenceChecks: readonly Check[] = [...telling, ...beingCurrent];

function beat(number: number): Heartbeat {
  return { workerId: 'worker-1', timeMs: Date.UTC(2026, 0, 1) + 5_000 * number, stopped: false, startedAtMs: Date.UTC(2026, 0, 1), queues: ['default'], concurrency: 1, held: [] };
}

/** A reader that has caught up, and what it was told. */
async function listening(harness: PresenceHarness): Promise<{ readonly reader: PresenceReader; readonly told: readonly Heartbeat[] }> {
  const reader = harness.openReader();
  const told: Heartbeat[] = [];
  reader.start((heartbeat) => void told.push(heartbeat));
  await eventually(() => reader.isCurrent(), within(harness));
  return { reader, told };
}

function within({ patienceMs }: PresenceHarness): { readonly timeoutMs: number } {
  return { timeoutMs: patienceMs };
}

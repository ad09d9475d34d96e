import { expect } from 'vitest';
import { hasCode } from '../../src/domain/errors.ts';
import type { ClaimRequest, ExecutionClaims, StoredOutcome } from '../../src/ports/execution-claims.ts';
import { describeContract, type AdapterUnderTest, type ContractCheck, type ContractHarness } from './contract.ts';

export interface OpenClaims {
  readonly claims: ExecutionClaims;
  /** Idempotent. */
  close(): Promise<void>;
}

export type ExecutionClaimsCapability = 'crash' | 'outage';

export interface ExecutionClaimsHarness extends ContractHarness {
  /** Opens the claims. Every opening of one harness finds the same data; they are open once at a time. */
  open(): Promise<OpenClaims>;
  /** Moves the store's clock, by which leases are measured. */
  passTime(ms: number): Promise<void>;
  /** Runs `work` on the open claims, breaks everything off the moment it settles, and opens again. */
  reopenAfterCrash(work: (claims: Pick<ExecutionClaims, 'claim' | 'storeOutcome'>) => Promise<unknown>): Promise<OpenClaims>;
  /** Makes the open claims unable to store; the returned function mends them. */
  breakClaims(): Promise<() => Promise<void>>;
}

type Check = ContractCheck<ExecutionClaimsHarness, ExecutionClaimsCapability>;

export function executionClaimsContract(adapter: AdapterUnderTest<ExecutionClaimsHarness, ExecutionClaimsCapability>): void {
  describeContract('ExecutionClaims', executionClaimsChecks, adapter);
}

const leaseMs = 10_000;
const a: ClaimRequest = { taskId: 'task', attempt: 1, executionId: 'execution-a', workerId: 'worker-1', leaseMs };
const b: ClaimRequest = { ...a, executionId: 'execution-b', workerId: 'worker-2' };
const later: ClaimRequest = { ...a, attempt: 2, executionId: 'execution-of-2' };

const claiming: readonly Check[] = [
  {
    name: 'gives an attempt to one of two executions that ask at once, the other is held off',
    async run(harness) {
      const { claims } = await harness.open();
      for (let round = 0; round < 10; round += 1) {
        const taskId = `task-${round}`;
        const answers = await Promise.all([claims.claim({ ...a, taskId }), claims.claim({ ...b, taskId })]);
        expect(answers.map(({ type }) => type).toSorted()).toEqual(['claimed', 'held']);
      }
    },
  },
  {
    name: 'holds others off for the rest of the lease, by the clock of the store',
    async run(harness) {
      const { claims } = await harness.open();
      expect(await claims.claim(a)).toEqual({ type: 'claimed', deaths: 0 });
      await harness.passTime(leaseMs - 4_000);
      const answer = await claims.claim(b);
      expect(answer.type).toBe('held');
      expect(answer.type === 'held' && answer.remainingMs).toBeGreaterThan(0);
      expect(answer.type === 'held' && answer.remainingMs).toBeLessThanOrEqual(4_000);
    },
  },
  {
    name: 'counts an execution whose lease ran out as a death, each one',
    async run(harness) {
      const { claims } = await harness.open();
      for (let deaths = 0; deaths < 4; deaths += 1) {
        expect(await claims.claim({ ...a, executionId: `execution-${deaths}` })).toEqual({ type: 'claimed', deaths });
        await harness.passTime(leaseMs + 1);
      }
    },
  },
  {
    name: 'gives an execution again what it holds, without counting a death',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      expect(await claims.claim(a)).toEqual({ type: 'claimed', deaths: 0 });
      await harness.passTime(leaseMs + 1);
      expect(await claims.claim(a)).toEqual({ type: 'claimed', deaths: 0 });
      expect((await claims.claim(b)).type).toBe('held');
    },
  },
  {
    name: 'prolongs the lease of the holder, and of nobody else',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await harness.passTime(leaseMs - 1_000);
      expect(await claims.renew(a, leaseMs)).toBe(true);
      expect(await claims.renew(b, leaseMs)).toBe(false);
      await harness.passTime(leaseMs - 1_000);
      expect((await claims.claim(b)).type).toBe('held');
      await harness.passTime(1_001);
      expect(await claims.claim(b)).toEqual({ type: 'claimed', deaths: 1 });
      expect(await claims.renew(a, leaseMs)).toBe(false);
      expect(await claims.renew(b, leaseMs)).toBe(true);
    },
  },
  {
    name: 'takes a released claim back without counting a death, keeps earlier deaths',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await harness.passTime(leaseMs + 1);
      expect(await claims.claim(b)).toEqual({ type: 'claimed', deaths: 1 });
      await claims.release(b);
      await claims.release(b);
      expect(await claims.renew(b, leaseMs)).toBe(false);
      expect(await claims.claim(a)).toEqual({ type: 'claimed', deaths: 1 });
    },
  },
  {
    name: 'ignores a release by an execution that does not hold the claim',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await claims.release(b);
      expect((await claims.claim(b)).type).toBe('held');
    },
  },
  {
    name: 'refuses an attempt when a later one of the task was claimed',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await claims.storeOutcome(a, failure('failed-1'));
      expect(await claims.claim(later)).toEqual({ type: 'claimed', deaths: 0 });
      expect(await claims.claim(b)).toEqual({ type: 'superseded' });
      expect((await claims.claim({ ...a, taskId: 'another task' })).type).toBe('claimed');
    },
  },
  {
    name: 'keeps the claims of different tasks apart',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await claims.storeOutcome(a, completion('done'));
      expect(await claims.claim({ ...b, taskId: 'task2' })).toEqual({ type: 'claimed', deaths: 0 });
    },
  },
];

const storing: readonly Check[] = [
  {
    name: 'gives a stored outcome back, byte for byte, to whoever claims the attempt later',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      const outcome = failure('failed');
      expect(await claims.storeOutcome(a, outcome)).toEqual({ type: 'stored' });
      for (const request of [a, b]) expect(await claims.claim(request)).toEqual(finished(outcome));
      await harness.passTime(10 * leaseMs);
      expect(await claims.claim(b)).toEqual(finished(outcome));
    },
  },
  {
    name: 'gives a completion of any attempt back to whoever claims any attempt of the task',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await claims.storeOutcome(a, failure('failed'));
      await claims.claim(later);
      const outcome = completion('completed');
      await claims.storeOutcome(later, outcome);
      for (const request of [a, later, { ...a, attempt: 3, executionId: 'of-3' }]) {
        expect(await claims.claim(request)).toEqual(finished(outcome));
      }
    },
  },
  {
    name: 'stores the first outcome of an attempt, and names it to the second',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      const first = failure('timeout');
      await claims.storeOutcome(a, first);
      expect(await claims.storeOutcome(a, completion('too late'))).toEqual(otherOutcome(first));
      expect(await claims.claim(b)).toEqual(finished(first));
    },
  },
  {
    name: 'answers stored when the same outcome is stored again',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      for (let repeat = 0; repeat < 3; repeat += 1) expect(await claims.storeOutcome(a, completion('done'))).toEqual({ type: 'stored' });
    },
  },
  {
    name: 'lets a failure of an execution that lost the attempt count for nothing',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await harness.passTime(leaseMs + 1);
      await claims.claim(b);
      expect(await claims.storeOutcome(a, failure('late'))).toEqual({ type: 'superseded' });
      expect(await claims.storeOutcome(b, completion('done'))).toEqual({ type: 'stored' });
    },
  },
  {
    name: 'stores a completion of an execution that lost the attempt, and names it to the one that took it',
    async run(harness) {
      const { claims } = await harness.open();
      await claims.claim(a);
      await harness.passTime(leaseMs + 1);
      await claims.claim(b);
      const outcome = completion('done by a');
      expect(await claims.storeOutcome(a, outcome)).toEqual({ type: 'stored' });
      expect(await claims.renew(b, leaseMs)).toBe(false);
      expect(await claims.storeOutcome(b, completion('done by b'))).toEqual(otherOutcome(outcome));
      expect(await claims.storeOutcome(b, failure('failed in b'))).toEqual(otherOutcome(outcome));
    },
  },
  {
    name: 'stores one completion per task, also when two attempts complete at once',
    async run(harness) {
      const { claims } = await harness.open();
      for (let round = 0; round < 10; round += 1) {
        const [first, second] = [{ ...a, taskId: `task-${round}` }, { ...later, taskId: `task-${round}` }];
        await claims.claim(first);
        await claims.claim(second);
        const [own, other] = [completion(`1-${round}`), completion(`2-${round}`)];
        const answers = await Promise.all([claims.storeOutcome(first, own), claims.storeOutcome(second, other)]);
        const winner = answers[0].type === 'stored' ? own : other;
        expect(answers.map(({ type }) => type).toSorted()).toEqual(['other-outcome', 'stored']);
        expect(await claims.claim(first)).toEqual(finished(winner));
      }
    },
  },
  {
    name: 'stores the outcome of an execution without a claim when nobody else holds the attempt',
    async run(harness) {
      const { claims } = await harness.open();
      const outcome = failure('ran unguarded');
      expect(await claims.storeOutcome(a, outcome)).toEqual({ type: 'stored' });
      expect(await claims.claim(b)).toEqual(finished(outcome));
    },
  },
];

const surviving: readonly Check[] = [
  {
    name: 'keeps a stored outcome across a crash',
    needs: 'crash',
    async run(harness) {
      const outcome = completion('done');
      const { claims } = await harness.reopenAfterCrash(async (doomed) => {
        await doomed.claim(a);
        await doomed.storeOutcome(a, outcome);
      });
      expect(await claims.claim(b)).toEqual(finished(outcome));
    },
  },
  {
    name: 'counts an execution as dead whose process crashed',
    needs: 'crash',
    async run(harness) {
      const { claims } = await harness.reopenAfterCrash((doomed) => doomed.claim(a));
      await harness.passTime(leaseMs + 1);
      expect(await claims.claim(b)).toEqual({ type: 'claimed', deaths: 1 });
    },
  },
  {
    name: 'says that the claims are unavailable while they cannot be stored, and works again by itself',
    needs: 'outage',
    async run(harness) {
      const { claims } = await harness.open();
      const mend = await harness.breakClaims();
      await expect(claims.claim(a)).rejects.toSatisfy((error) => hasCode(error, 'claims-unavailable'));
      await expect(claims.storeOutcome(a, completion('done'))).rejects.toSatisfy((error) => hasCode(error, 'claims-unavailable'));
      await mend();
      expect((await claims.claim(a)).type).toBe('claimed');
    },
  },
  {
    name: 'says that the claims are unavailable after they were closed, also when closed twice',
    async run(harness) {
      const open = await harness.open();
      await open.close();
      await open.close();
      await expect(open.claims.claim(a)).rejects.toSatisfy((error) => hasCode(error, 'claims-unavailable'));
    },
  },
];

export const executionClaimsChecks: readonly Check[] = [...claiming, ...storing, ...surviving];

function completion(eventId: string): StoredOutcome {
  return outcomeWith(true, eventId);
}

function failure(eventId: string): StoredOutcome {
  return outcomeWith(false, eventId);
}

function outcomeWith(completed: boolean, eventId: string): StoredOutcome {
  const value = Uint8Array.from([...eventId].map((character) => character.charCodeAt(0)).concat(0, 255));
  return { completed, eventId, record: { key: 'task', headers: [['ce_id', eventId], ['text', 'ü🎈']], value } };
}

function finished(outcome: StoredOutcome): unknown {
  return { type: 'finished', outcome: sameOutcome(outcome) };
}

function otherOutcome(outcome: StoredOutcome): unknown {
  return { type: 'other-outcome', outcome: sameOutcome(outcome) };
}

/** Bytes are compared as bytes, whichever class of array carries them. */
function sameOutcome({ completed, eventId, record }: StoredOutcome): unknown {
  const value = expect.toSatisfy((found: Uint8Array) => Buffer.compare(found, record.value) === 0) as unknown;
  return { completed, eventId, record: { key: record.key, headers: record.headers, value } };
}


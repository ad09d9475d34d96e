import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../src/domain/log-record.ts';
import type { AppendedRecord, EventAppender } from '../../src/ports/event-appender.ts';
import type { EventCursor, EventReader } from '../../src/ports/event-reader.ts';
import type { ExecutionClaims } from '../../src/ports/execution-claims.ts';
import type { JobDelivery, JobReceiver } from '../../src/ports/job-receiver.ts';
import type { JobSender } from '../../src/ports/job-sender.ts';
import { embeddedEventLogHarness, embeddedExecutionClaimsHarness, embeddedJobQueueHarness as soundJobQueueHarness } from '../support/embedded-harness.ts';
import { brokenChecks, type ContractCheck, type ContractHarness } from './contract.ts';
import { eventLogChecks, type EventLogHarness, type OpenLog } from './event-log.contract.ts';
import { executionClaimsChecks, type ExecutionClaimsHarness } from './execution-claims.contract.ts';
import { jobQueueChecks, type JobQueueHarness, type OpenQueue } from './job-queue.contract.ts';

// A contract that has never failed proves nothing. Each adapter here is sound but for one fault, and the checks that
// are named must see it.

describe('an event log that', () => {
  it('acknowledges before the record is durable is found out', () =>
    expectBroken(eventLogChecks, brokenLog({ appender: acknowledgeEarly }), [
      'resolves an append only when every reader can read the record',
      'keeps every acknowledged record across a crash',
    ]));

  it('reorders the records of a key is found out', () =>
    expectBroken(eventLogChecks, brokenLog({ cursor: reverseBatches }), [
      'keeps the order of a key when each call follows the settled one before',
      'reads from the beginning when the positions name nothing, each record once, in the order of offsets',
    ]));

  it('moves its position before it hands the records over is found out', () =>
    expectBroken(eventLogChecks, brokenLog({ cursor: dropBatchesAfterTheFirst }), [
      'resumes from kept positions after a crash, skipping nothing and repeating nothing',
      'lets readers go their own ways',
    ]));

  it('loses its records when it is opened again is found out', () =>
    expectBroken(eventLogChecks, loseLogOnOpen, [
      'keeps every acknowledged record across a crash',
      'numbers the records of a partition from 0 without a gap, across openings',
      'keeps its identity across openings, and a log made anew has another one',
    ]));

  it('steps over a record that it cannot read is found out', () =>
    expectBroken(eventLogChecks, brokenLog({ cursor: skipUnreadable }), [
      'shows a record that nobody can read, in its place, and goes on behind it',
    ]));

  it('reports a failed append as done is found out', () =>
    expectBroken(eventLogChecks, brokenLog({ appender: swallowFailures }), [
      'fails an append within its deadline while the log cannot store, and stores again afterwards',
      'rejects a record that is too large, and takes the next one',
      'stops taking records when closed, also when closed twice',
    ]));
});

describe('a job queue that', () => {
  it('removes a job when it delivers it is found out', () =>
    expectBroken(jobQueueChecks, removeAtDelivery, [
      'delivers a job again, and says so, when the process died with it unacknowledged',
      'gives back what a stopped consumer held, and refuses its late acknowledgements',
      'delivers a job again that was given back',
    ]));

  it('confirms a send that was refused is found out', () =>
    expectBroken(jobQueueChecks, brokenQueue({ sender: swallowRefusals }), [
      'says refused when the queue does not take the job, and does not have it then',
      'never confirms a send that the queue could not keep, and works again by itself',
      'says not-sent after it was closed, also when closed twice',
    ]));

  it('confirms a send before it has the job is found out', () =>
    expectBroken(jobQueueChecks, confirmEarly, ['confirms a send only when a crash cannot lose the job']));

  it('takes the acknowledgement of a stale delivery is found out', () =>
    expectBroken(jobQueueChecks, brokenQueue({ delivery: acknowledgeStale }), [
      'refuses to acknowledge twice',
      'refuses to acknowledge what was given back, and keeps the job',
      'gives back what a stopped consumer held, and refuses its late acknowledgements',
    ]));

  it('forgets what is given back is found out', () =>
    expectBroken(jobQueueChecks, brokenQueue({ delivery: forgetGivenBack }), ['delivers a job again that was given back']));

  it('does not tell how often a job came back is found out', () =>
    expectBroken(jobQueueChecks, brokenQueue({ delivery: forgetReturns }), [
      'delivers a job again, and says so, when the process died with it unacknowledged',
    ]));

  it('does not count what a consumer holds is found out', () =>
    expectBroken(jobQueueChecks, brokenQueue({ prefetch: 1_000 }), [
      'never lets a consumer hold more than its prefetch, and goes on as it settles',
    ]));
});

describe('execution claims that', () => {
  it('give one attempt to two executions are found out', () =>
    expectBroken(executionClaimsChecks, brokenClaims(giveToTwo), [
      'gives an attempt to one of two executions that ask at once, the other is held off',
      'holds others off for the rest of the lease, by the clock of the store',
      'ignores a release by an execution that does not hold the claim',
    ]));

  it('let the last outcome win are found out', () =>
    expectBroken(executionClaimsChecks, brokenClaims(letLastOutcomeWin), [
      'stores the first outcome of an attempt, and names it to the second',
      'stores one completion per task, also when two attempts complete at once',
    ]));

  it('count a release as a death are found out', () =>
    expectBroken(executionClaimsChecks, brokenClaims(ignoreReleases), [
      'takes a released claim back without counting a death, keeps earlier deaths',
    ]));

  it('forget that a later attempt was claimed are found out', () =>
    expectBroken(executionClaimsChecks, brokenClaims(seeOwnAttemptOnly), [
      'refuses an attempt when a later one of the task was claimed',
      'gives a completion of any attempt back to whoever claims any attempt of the task',
    ]));
});

describe('the same wrapping without a fault', () => {
  it('keeps every contract, so that it is the fault that is found out', async () => {
    const patientQueue = async () => ({ ...(await brokenQueue({})()), patienceMs: 5_000 });
    expect(await brokenChecks(eventLogChecks, { create: brokenLog({}) })).toEqual([]);
    expect(await brokenChecks(jobQueueChecks, { create: patientQueue })).toEqual([]);
    expect(await brokenChecks(executionClaimsChecks, { create: brokenClaims(sound) })).toEqual([]);
  });
});

/** Expects each of the named checks to fail with this harness. */
async function expectBroken<Harness extends ContractHarness, Capability extends string>(
  checks: readonly ContractCheck<Harness, Capability>[],
  create: () => Promise<Harness>,
  names: readonly string[],
): Promise<void> {
  const named = checks.filter(({ name }) => names.includes(name));
  expect(named.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  expect((await brokenChecks(named, { create })).toSorted()).toEqual(names.toSorted());
}

type Appending = Pick<EventAppender, 'append'>;
type Fault<Port> = (sound: Port) => Port;

interface LogFaults {
  readonly appender?: Fault<Appending>;
  readonly cursor?: Fault<EventCursor>;
}

function brokenLog({ appender = sound, cursor = sound }: LogFaults): () => Promise<EventLogHarness> {
  const breakReader = (reader: EventReader): EventReader => override(reader, { openCursor: (from, partitions) => cursor(reader.openCursor(from, partitions)) });
  const breakLog = (log: OpenLog): OpenLog => ({
    appender: override(log.appender, appender(log.appender)),
    reader: breakReader(log.reader),
    close: () => log.close(),
  });
  return async () => {
    const harness = await embeddedEventLogHarness();
    return {
      ...harness,
      open: async () => breakLog(await harness.open()),
      openReader: async () => breakReader(await harness.openReader()),
      reopenAfterCrash: async (work) => breakLog(await harness.reopenAfterCrash((doomed) => work(appender(doomed)))),
    };
  };
}

function acknowledgeEarly(appender: Appending): Appending {
  let offset = -1;
  return {
    async append(record: LogRecord): Promise<AppendedRecord> {
      setImmediate(() => void appender.append(record).catch(() => undefined));
      offset += 1;
      return { partition: 0, offset, timestampMs: 0 };
    },
  };
}

function swallowFailures(appender: Appending): Appending {
  return { append: (record) => appender.append(record).catch(() => ({ partition: 0, offset: 0, timestampMs: 0 })) };
}

function reverseBatches(cursor: EventCursor): EventCursor {
  return override(cursor, { next: async (options) => (await cursor.next(options)).toReversed() });
}

function dropBatchesAfterTheFirst(cursor: EventCursor): EventCursor {
  return override(cursor, {
    async next(options) {
      const batch = await cursor.next(options);
      await cursor.next({ maxRecords: 5, waitMs: 0 });
      return batch;
    },
  });
}

function skipUnreadable(cursor: EventCursor): EventCursor {
  return override(cursor, { next: async (options) => (await cursor.next(options)).filter(({ key }) => key !== null) });
}

async function loseLogOnOpen(): Promise<EventLogHarness> {
  const harness = await embeddedEventLogHarness();
  const open = async () => {
    await harness.deleteLog();
    return harness.open();
  };
  return {
    ...harness,
    open,
    reopenAfterCrash: async (work) => {
      await (await harness.reopenAfterCrash(work)).close();
      return open();
    },
  };
}

/** What a broken queue will never deliver is not waited for as long as what a sound one may deliver late. */
async function embeddedJobQueueHarness(): Promise<JobQueueHarness> {
  return { ...(await soundJobQueueHarness()), patienceMs: 1_000 };
}

interface QueueFaults {
  readonly sender?: Fault<JobSender>;
  readonly delivery?: Fault<JobDelivery>;
  readonly prefetch?: number;
}

function brokenQueue({ sender = sound, delivery = sound, prefetch: ignored }: QueueFaults): () => Promise<JobQueueHarness> {
  const breakReceiver = (receiver: JobReceiver): JobReceiver => ({
    consume: (queue, prefetch, deliver) => receiver.consume(queue, ignored ?? prefetch, (each) => deliver(delivery(each))),
    consumeDeadLetters: (prefetch, deliver) => receiver.consumeDeadLetters(prefetch, deliver),
  });
  const breakQueue = (queue: OpenQueue): OpenQueue => ({
    sender: sender(queue.sender),
    receiver: breakReceiver(queue.receiver),
    close: () => queue.close(),
  });
  return async () => {
    const harness = await embeddedJobQueueHarness();
    return {
      ...harness,
      open: async () => breakQueue(await harness.open()),
      openWithRoomFor: async (jobs) => breakQueue(await harness.openWithRoomFor(jobs)),
      reopenAfterCrash: async (work) => breakQueue(await harness.reopenAfterCrash(work)),
    };
  };
}

function swallowRefusals(sender: JobSender): JobSender {
  return {
    async send(job) {
      await sender.send(job);
      return { type: 'confirmed' };
    },
    queueLostAtMs: (queue) => sender.queueLostAtMs(queue),
  };
}

async function confirmEarly(): Promise<JobQueueHarness> {
  const harness = await embeddedJobQueueHarness();
  return {
    ...harness,
    reopenAfterCrash: (work) =>
      harness.reopenAfterCrash((doomed) =>
        work({
          consume: (...args) => doomed.consume(...args),
          async send(job) {
            setImmediate(() => void doomed.send(job));
            return { type: 'confirmed' };
          },
        }),
      ),
  };
}

/** The auto-acknowledging consumer: the job is gone before its work has begun. */
async function removeAtDelivery(): Promise<JobQueueHarness> {
  const acknowledgeFirst = (delivery: JobDelivery): JobDelivery => {
    const removed = delivery.ack();
    return { ...handles(delivery), ack: () => removed, giveBack: () => undefined };
  };
  const harness = await brokenQueue({ delivery: acknowledgeFirst })();
  return {
    ...harness,
    reopenAfterCrash: (work) =>
      harness.reopenAfterCrash((doomed) =>
        work({
          send: (job) => doomed.send(job),
          consume: (queue, prefetch, deliver) =>
            doomed.consume(queue, prefetch, (delivery) => void delivery.ack().then(() => deliver(delivery), () => undefined)),
        }),
      ),
  };
}

function acknowledgeStale(delivery: JobDelivery): JobDelivery {
  return { ...handles(delivery), ack: () => delivery.ack().catch(() => undefined) };
}

function forgetGivenBack(delivery: JobDelivery): JobDelivery {
  return { ...handles(delivery), giveBack: () => void delivery.ack().catch(() => undefined) };
}

function forgetReturns(delivery: JobDelivery): JobDelivery {
  return { ...handles(delivery), returns: 0 };
}

function handles(delivery: JobDelivery): JobDelivery {
  const { job, redelivered, returns, deadLetter } = delivery;
  return { job, redelivered, returns, deadLetter, ack: () => delivery.ack(), giveBack: () => delivery.giveBack() };
}

function brokenClaims(fault: Fault<ExecutionClaims>): () => Promise<ExecutionClaimsHarness> {
  return async () => {
    const harness = await embeddedExecutionClaimsHarness();
    return {
      ...harness,
      async open() {
        const open = await harness.open();
        return { claims: fault(open.claims), close: () => open.close() };
      },
    };
  };
}

function giveToTwo(claims: ExecutionClaims): ExecutionClaims {
  return override(claims, {
    async claim(request) {
      const answer = await claims.claim(request);
      return answer.type === 'held' ? { type: 'claimed', deaths: 0 } : answer;
    },
  });
}

function letLastOutcomeWin(claims: ExecutionClaims): ExecutionClaims {
  return override(claims, {
    async storeOutcome(execution, outcome) {
      await claims.storeOutcome(execution, outcome);
      return { type: 'stored' };
    },
  });
}

function ignoreReleases(claims: ExecutionClaims): ExecutionClaims {
  return override(claims, { release: () => Promise.resolve() });
}

/** Looks at (task, attempt) alone, as if each attempt were a task of its own. */
function seeOwnAttemptOnly(claims: ExecutionClaims): ExecutionClaims {
  return override(claims, {
    claim: (request) => claims.claim({ ...request, taskId: `${request.taskId}:${request.attempt}` }),
    storeOutcome: (execution, outcome) => claims.storeOutcome({ ...execution, taskId: `${execution.taskId}:${execution.attempt}` }, outcome),
  });
}

function sound<Port>(port: Port): Port {
  return port;
}

/** The same object, but for some of its methods. */
function override<Port extends object>(port: Port, methods: Partial<Port>): Port {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(Reflect.has(methods, name) ? methods : target) as unknown) : value;
    },
  });
}

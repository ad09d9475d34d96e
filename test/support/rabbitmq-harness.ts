import { RabbitmqJobReceiver, type RabbitmqJobReceiverOptions } from '../../src/adapters/rabbitmq/rabbitmq-job-receiver.ts';
import { RabbitmqJobSender, type RabbitmqJobSenderOptions } from '../../src/adapters/rabbitmq/rabbitmq-job-sender.ts';
import { RabbitmqQueueInspection } from '../../src/adapters/rabbitmq/rabbitmq-queue-inspection.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import type { JobSender } from '../../src/ports/job-sender.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { JobQueueHarness, OpenQueue } from '../contracts/job-queue.contract.ts';
import type { QueueInspectionHarness } from '../contracts/queue-inspection.contract.ts';
import { eventually } from './eventually.ts';
import { plantMessage, rabbitmqUrl, removeTopic, uniqueTopic } from './rabbitmq-broker.ts';
import { RabbitmqProxy } from './rabbitmq-proxy.ts';

export interface RabbitmqQueue {
  readonly sender: RabbitmqJobSender;
  readonly receiver: RabbitmqJobReceiver;
  /** Idempotent. */
  close(): Promise<void>;
}

const queues = ['default', 'heavy'];

/** A topic of its own on the broker, with sender and receiver behind one proxy. */
export class RabbitmqRig {
  readonly topic = uniqueTopic();
  readonly proxy: RabbitmqProxy;
  /** What was logged, as JSON. */
  readonly messages: string[] = [];
  #open: RabbitmqQueue | null = null;

  static async start(): Promise<RabbitmqRig> {
    return new RabbitmqRig(await RabbitmqProxy.start(rabbitmqUrl()));
  }

  private constructor(proxy: RabbitmqProxy) {
    this.proxy = proxy;
  }

  /** What sender and receiver are built with; deadlines are short, so that tests of outages are. */
  get options() {
    return { url: this.proxy.url, topic: this.topic, clock: new SystemClock(), logger: this.#logger, answerDeadlineMs: 1_000, longestPauseMs: 500 };
  }

  get #logger(): Logger {
    const note = (fields: object, message: string) => void this.messages.push(JSON.stringify({ ...fields, message }));
    return { debug: note, info: note, warn: note, error: note };
  }

  /** Resolves when both are connected and the queues are declared. */
  async open(overrides: Partial<RabbitmqJobSenderOptions & RabbitmqJobReceiverOptions> = {}): Promise<RabbitmqQueue> {
    await this.#open?.close();
    const sender = new RabbitmqJobSender({ ...this.options, name: 'test sender', queues, confirmDeadlineMs: 1_000, writeDeadlineMs: 3_000, ...overrides });
    const receiver = new RabbitmqJobReceiver({ ...this.options, ...overrides, name: 'test receiver' });
    const close = async () => {
      await Promise.all([receiver.close(), sender.close()]);
    };
    this.#open = { sender, receiver, close };
    await eventually(() => sender.ready && receiver.health().ok);
    return this.#open;
  }

  get opened(): RabbitmqQueue {
    if (!this.#open) throw new Error('The rig has nothing open');
    return this.#open;
  }

  /** Closes what is open without a word to the broker, which sees nothing but sockets that are gone. */
  async crash(): Promise<void> {
    this.proxy.refuse();
    await this.#open?.close();
    this.#open = null;
    this.proxy.mend();
  }

  async close(): Promise<void> {
    await this.#open?.close();
    await this.proxy.close();
    await removeTopic(this.topic, queues);
  }
}

export async function rabbitmqJobQueueHarness(): Promise<JobQueueHarness> {
  const rig = await RabbitmqRig.start();
  const opened = (queue: RabbitmqQueue): OpenQueue => ({ ...queue, sender: afterAttaching(queue) });
  let closed: Promise<void> | null = null;
  return {
    open: async () => opened(await rig.open()),
    async reopenAfterCrash(work) {
      const { sender, receiver } = await rig.open();
      await work({ send: (job) => sender.send(job), consume: async (queue, prefetch, deliver) => void receiver.consume(queue, prefetch, deliver) });
      await rig.crash();
      return opened(await rig.open());
    },
    // A quorum queue notices that it is full with the first job beyond its length.
    openWithRoomFor: async (jobs) => opened(await rig.open({ maxQueueJobs: jobs - 1 })),
    async breakQueue() {
      rig.proxy.stall();
      return async () => {
        rig.proxy.cut();
        rig.proxy.mend();
      };
    },
    plantMalformedJob: (queue) => plantMessage(rig.topic, queue, '{"taskId":17}'),
    patienceMs: 10_000,
    parkedJobs: () => rig.opened.receiver.parked,
    close: () => (closed ??= rig.close()),
  };
}

export async function rabbitmqQueueInspectionHarness(): Promise<QueueInspectionHarness> {
  const rig = await RabbitmqRig.start();
  let inspection: RabbitmqQueueInspection | null = null;
  return {
    async open() {
      const { sender, receiver } = await rig.open();
      const opened = (inspection = new RabbitmqQueueInspection({ ...rig.options, name: 'test inspection' }));
      await eventually(() => opened.health().ok);
      return { sender, receiver, inspection: opened };
    },
    async breakQueue() {
      rig.proxy.stall();
      return async () => {
        rig.proxy.cut();
        rig.proxy.mend();
      };
    },
    deadlineMs: 2_000,
    patienceMs: 10_000,
    async close() {
      await inspection?.close();
      await rig.close();
    },
  };
}

/** Consuming begins a few round trips after `consume`; consumers that were asked for take part from the first job on. */
function afterAttaching({ sender, receiver }: RabbitmqQueue): JobSender {
  return {
    async send(job) {
      await eventually(() => receiver.awaitedQueues.length === 0 || !receiver.health().ok, { timeoutMs: 2_000 }).catch(() => undefined);
      return sender.send(job);
    },
    queueLostAtMs: (queue) => sender.queueLostAtMs(queue),
  };
}

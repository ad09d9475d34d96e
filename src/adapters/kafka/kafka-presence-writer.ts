import { DaybookError } from '../../domain/errors.ts';
import type { Heartbeat } from '../../domain/heartbeat.ts';
import type { PresenceWriter } from '../../ports/presence-writer.ts';
import { encodeHeartbeat } from './heartbeat-json.ts';
import { settlesWithin } from './kafka-connection.ts';
import { describeFailure, errorCode, errorCodesIn, errorName, unavailable } from './kafka-errors.ts';
import { KafkaProducer, type ProducedMessage } from './kafka-producer.ts';
import { createPresenceTopic, maxHeartbeatBytes, presenceTopicOf, type PresenceTopicOptions } from './presence-topic.ts';
import { encodeRecord } from './record-encoder.ts';

export interface KafkaPresenceWriterOptions extends PresenceTopicOptions {
  /** A heartbeat that was not confirmed after this time is `log-unavailable`; default 4,000 ms. */
  readonly deadlineMs?: number;
}

/**
 * Publishes heartbeats to the presence topic, which it creates where it is missing. One at a time is on its way, so
 * that they keep their order, and one more may wait: a newer one takes its place, because what the old one says is
 * over. One that was on its way at its deadline may still arrive, some three seconds later.
 */
export class KafkaPresenceWriter implements PresenceWriter {
  readonly #options: KafkaPresenceWriterOptions;
  readonly #deadlineMs: number;
  readonly #producer: KafkaProducer;
  #hasTopic = false;
  #sequence = 0;
  #waiting: UnsentHeartbeat | null = null;
  #sending: Promise<void> | null = null;
  #closed = false;

  /** Connects with the first heartbeat. */
  constructor(options: KafkaPresenceWriterOptions) {
    this.#options = options;
    this.#deadlineMs = options.deadlineMs ?? 4_000;
    this.#producer = new KafkaProducer(options.connection);
  }

  async write(heartbeat: Heartbeat): Promise<void> {
    if (this.#closed) throw closedHere();
    const unsent = new UnsentHeartbeat(this.#messageOf(heartbeat));
    this.#waiting?.answer(unavailable('A newer heartbeat took the place of this one, which waited for Kafka'));
    this.#waiting = unsent;
    this.#sending ??= this.#sendWaiting();
    if (!(await settlesWithin(unsent.answered, this.#deadlineMs))) unsent.answer(unavailable(`Kafka did not confirm a heartbeat within ${this.#deadlineMs} ms`));
    const problem = await unsent.answered;
    if (problem) throw problem;
  }

  /** Breaks off what is on its way. Bounded and idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting?.answer(closedHere());
    this.#waiting = null;
    await this.#producer.close();
    if (this.#sending) await settlesWithin(this.#sending, 1_000);
  }

  #messageOf(heartbeat: Heartbeat): ProducedMessage {
    this.#sequence += 1;
    const value = encodeHeartbeat({ heartbeat, sequence: this.#sequence });
    if (value.length > maxHeartbeatBytes) {
      throw unavailable(`A heartbeat of ${value.length} bytes, with ${heartbeat.held.length} held jobs, is not sent: at most ${maxHeartbeatBytes} bytes are. Lower DAYBOOK_WORKER_PREFETCH`);
    }
    return { topic: presenceTopicOf(this.#options.topic), partition: 0, value: encodeRecord({ key: heartbeat.workerId, headers: [], value }) };
  }

  /** Never rejects. */
  async #sendWaiting(): Promise<void> {
    for (let next = this.#waiting; next; next = this.#waiting) {
      this.#waiting = null;
      next.answer(await this.#send(next));
    }
    this.#sending = null;
  }

  /** Never rejects; gives what went wrong. */
  async #send(unsent: UnsentHeartbeat): Promise<DaybookError | null> {
    try {
      if (!this.#hasTopic) await createPresenceTopic(this.#options);
      this.#hasTopic = true;
      // What waited for its deadline is out of date.
      if (unsent.isAnswered) return null;
      const { answers, failure } = await this.#producer.send([unsent.message]);
      const code = answers.get(0)?.errorCode;
      if (code === errorCode.none) return null;
      // Deleted meanwhile: the next heartbeat creates it.
      if (code === errorCode.unknownTopic || errorCodesIn(failure).includes(errorCode.unknownTopic)) this.#hasTopic = false;
      const reason = failure ? describeFailure(failure) : errorName(code ?? errorCode.none);
      return unavailable(`Kafka did not take a heartbeat: ${reason}`, failure ?? undefined);
    } catch (error) {
      return error instanceof DaybookError ? error : unavailable(`Kafka did not take a heartbeat: ${describeFailure(error)}`, error);
    }
  }
}

/** A heartbeat whose call waits for an answer. */
class UnsentHeartbeat {
  readonly message: ProducedMessage;
  /** Null: it was taken. */
  readonly answered: Promise<DaybookError | null>;
  #resolve: (problem: DaybookError | null) => void = () => {};
  #isAnswered = false;

  constructor(message: ProducedMessage) {
    this.message = message;
    this.answered = new Promise((resolve) => (this.#resolve = resolve));
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** The first answer counts. */
  answer(problem: DaybookError | null): void {
    this.#isAnswered = true;
    this.#resolve(problem);
  }
}

function closedHere(): DaybookError {
  return unavailable('The way to the presence topic was closed by this process');
}

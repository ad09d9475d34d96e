import type { JsonValue, TaskState } from '../../client/answers.ts';
import type { DemoFile } from './collect-files.ts';

/** A task of the demo, and how it must end. */
export interface PlannedTask {
  readonly type: string;
  readonly payload: JsonValue;
  readonly idempotencyKey: string;
  readonly state: TaskState;
  readonly attempts: number;
  /** The file whose checksum the result must hold. */
  readonly file?: DemoFile;
}

export const webhookCount = 40;
export const flakyCount = 10;
export const hopelessCount = 5;

/**
 * What the demo submits. Those that need several attempts go first, so that their waiting overlaps with the work
 * on the files.
 */
export function planDemo(files: readonly DemoFile[], receiverUrl: string): readonly PlannedTask[] {
  return [
    ...times(flakyCount, (number) => ({
      type: 'demo.flaky',
      payload: { name: `flaky ${number}` },
      idempotencyKey: `demo-flaky-${number}`,
      state: 'completed',
      attempts: 3,
    })),
    ...times(hopelessCount, (number) => ({
      type: 'demo.hopeless',
      payload: { name: `hopeless ${number}` },
      idempotencyKey: `demo-hopeless-${number}`,
      state: 'failed',
      attempts: 3,
    })),
    ...times(webhookCount, (number) => planWebhook(number, receiverUrl)),
    ...files.map((file, index): PlannedTask => ({
      type: 'file.checksum',
      payload: { path: file.path },
      idempotencyKey: `demo-file-${index + 1}`,
      state: 'completed',
      attempts: 1,
      file,
    })),
  ];
}

/** Of ten deliveries two meet a busy receiver, and two lose the answer after the receiver has done its part. */
function planWebhook(number: number, receiverUrl: string): PlannedTask {
  const first = { 3: 'busy', 6: 'answer-lost', 8: 'busy', 9: 'answer-lost' }[number % 10];
  return {
    type: 'webhook.deliver',
    payload: {
      url: first === undefined ? receiverUrl : `${receiverUrl}?first=${first}`,
      event: 'order.shipped',
      body: { order: number },
    },
    idempotencyKey: `demo-webhook-${number}`,
    state: 'completed',
    attempts: first === undefined ? 1 : 2,
  };
}

function times(count: number, make: (number: number) => PlannedTask): PlannedTask[] {
  return Array.from({ length: count }, (_, index) => make(index + 1));
}

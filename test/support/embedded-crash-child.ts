import { SystemIds } from '../../src/adapters/system/system-ids.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import type { JobConsumer, JobDelivery } from '../../src/ports/job-receiver.ts';
import type { CallToDoomed, MessageFromDoomed } from './doomed-process.ts';
import { openEmbeddedAdapters } from './embedded-adapters.ts';

// A process that owns a data folder, does what it is told, and waits to be killed. It never closes anything.

const folder = process.argv[2] ?? '';
const { appender, sender, receiver, claims } = openEmbeddedAdapters(folder);
const deliveries = new Map<string, JobDelivery>();
const consumers: JobConsumer[] = [];
const ids = new SystemIds(new SystemClock());

process.on('message', (call: CallToDoomed) => {
  answer(call).then(
    (value) => send({ type: 'answer', id: call.id, value }),
    (error: unknown) => send({ type: 'answer', id: call.id, error: { code: codeOf(error), message: String(error) } }),
  );
});
// The parent died: nothing outlives it.
process.on('disconnect', () => process.exit(1));
send({ type: 'ready' });

async function answer({ call }: CallToDoomed): Promise<unknown> {
  switch (call.type) {
    case 'append':
      return appender.append(call.record);
    case 'send':
      return sender.send(call.job);
    case 'consume':
      consumers.push(receiver.consume(call.queue, call.prefetch, announce));
      return undefined;
    case 'ack':
      return deliveries.get(call.deliveryId)?.ack();
    case 'claim':
      return claims.claim(call.request);
    case 'storeOutcome':
      return claims.storeOutcome(call.execution, call.outcome);
    default:
      return call satisfies never;
  }
}

function announce(delivery: JobDelivery): void {
  const deliveryId = ids.uuidv7();
  deliveries.set(deliveryId, delivery);
  send({ type: 'delivery', deliveryId, job: delivery.job, redelivered: delivery.redelivered });
}

function send(message: MessageFromDoomed): void {
  process.send?.(message);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

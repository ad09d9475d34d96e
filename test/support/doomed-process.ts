import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DaybookError, type ErrorCode } from '../../src/domain/errors.ts';
import type { Job } from '../../src/domain/job.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import type { AppendedRecord } from '../../src/ports/event-appender.ts';
import type { ClaimAnswer, ClaimedExecution, ClaimRequest, StoreAnswer, StoredOutcome } from '../../src/ports/execution-claims.ts';
import type { SendOutcome } from '../../src/ports/job-sender.ts';

export interface CallToDoomed {
  readonly id: number;
  readonly call:
    | { readonly type: 'append'; readonly record: LogRecord }
    | { readonly type: 'send'; readonly job: Job }
    | { readonly type: 'consume'; readonly queue: string; readonly prefetch: number }
    | { readonly type: 'ack'; readonly deliveryId: string }
    | { readonly type: 'claim'; readonly request: ClaimRequest }
    | { readonly type: 'storeOutcome'; readonly execution: ClaimedExecution; readonly outcome: StoredOutcome };
}

export type MessageFromDoomed =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: { code: string | undefined; message: string } }
  | { readonly type: 'delivery'; readonly deliveryId: string; readonly job: Job; readonly redelivered: boolean };

export interface DoomedDelivery {
  readonly job: Job;
  readonly redelivered: boolean;
  ack(): Promise<void>;
}

/** The embedded adapters in a process of their own, which ends by SIGKILL in the middle of whatever it does. */
export interface DoomedProcess {
  append(record: LogRecord): Promise<AppendedRecord>;
  send(job: Job): Promise<SendOutcome>;
  consume(queue: string, prefetch: number, deliver: (delivery: DoomedDelivery) => void): Promise<void>;
  claim(request: ClaimRequest): Promise<ClaimAnswer>;
  storeOutcome(execution: ClaimedExecution, outcome: StoredOutcome): Promise<StoreAnswer>;
  /** Kills it and resolves when it is gone. Calls without an answer stay without one. */
  kill(): Promise<void>;
}

export async function startDoomedProcess(folder: string): Promise<DoomedProcess> {
  const script = fileURLToPath(new URL('embedded-crash-child.ts', import.meta.url));
  const child = fork(script, [folder], { serialization: 'advanced', execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const answers = new Map<number, (message: MessageFromDoomed & { type: 'answer' }) => void>();
  const consumers: ((delivery: DoomedDelivery) => void)[] = [];
  let calls = 0;

  const ask = (call: CallToDoomed['call']): Promise<never> =>
    new Promise((resolve, reject) => {
      const id = (calls += 1);
      answers.set(id, ({ value, error }) => {
        if (error) reject(new DaybookError(error.code as ErrorCode, error.message));
        else resolve(value as never);
      });
      child.send({ id, call } satisfies CallToDoomed, () => undefined);
    });

  const ready = new Promise<void>((resolve) => {
    child.on('message', (message: MessageFromDoomed) => {
      if (message.type === 'ready') resolve();
      else if (message.type === 'answer') answers.get(message.id)?.(message);
      else for (const deliver of consumers) deliver({ ...message, ack: () => ask({ type: 'ack', deliveryId: message.deliveryId }) });
    });
  });
  await Promise.race([ready, exited.then(() => Promise.reject(new Error('The process ended before it was ready')))]);

  return {
    append: (record) => ask({ type: 'append', record }),
    send: (job) => ask({ type: 'send', job }),
    consume: (queue, prefetch, deliver) => {
      consumers.push(deliver);
      return ask({ type: 'consume', queue, prefetch });
    },
    claim: (request) => ask({ type: 'claim', request }),
    storeOutcome: (execution, outcome) => ask({ type: 'storeOutcome', execution, outcome }),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

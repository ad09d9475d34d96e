import { parentPort, workerData } from 'node:worker_threads';
import { openEmbeddedLogReader } from '../../adapters/embedded/embedded-log-reader.ts';
import { SystemClock } from '../../adapters/system/system-clock.ts';
import { Projector } from '../../diary/projector.ts';
import { QueryProblem } from '../../diary/query-problem.ts';
import type { LogFields, Logger } from '../../ports/logger.ts';
import type { DiaryAnswers, DiaryCall, DiaryThreadData, FromDiaryThread, ToDiaryThread, TransferredError } from './diary-thread-messages.ts';
import { projectionStoreOf } from './projection-of.ts';

// The diary's thread of a process that runs other roles too: a projector with connections of its own to the log and to
// the read model. What cannot be opened here ends the thread, and its host starts another one.

const healthEveryMs = 500;

const { config, pollMs = 250 } = workerData as DiaryThreadData;
const clock = new SystemClock();
const logger = logToHost();
const reader = config.kafkaBrokers === null ? openEmbeddedLogReader(config.dataDir, { topic: config.topic, pollMs }) : await openKafkaReader();
const store = projectionStoreOf(config);
const projector = new Projector({ reader, store, clock, logger, onIdle: () => send({ type: 'idle' }) });
let isStarted = false;

parentPort?.on('message', (message: ToDiaryThread) => void handle(message));
const heartbeat = setInterval(sendHealth, healthEveryMs);
await projector.start();
isStarted = true;
sendHealth();

/** Loaded where it is needed: its code takes longer to read than all the rest. */
async function openKafkaReader() {
  const { KafkaEventReader } = await import('../../adapters/kafka/kafka-event-reader.ts');
  const { kafkaConnectionOf } = await import('./kafka-connection-of.ts');
  return new KafkaEventReader({ connection: kafkaConnectionOf(config), topic: config.topic, logger });
}

async function handle(message: ToDiaryThread): Promise<void> {
  switch (message.type) {
    case 'wake':
      return projector.logAdvanced();
    case 'call':
      return answer(message.id, message.call);
    case 'stop':
      await projector.stop(message.deadlineMs);
      clearInterval(heartbeat);
      await store.close();
      await reader.close();
      return parentPort?.close();
    default:
      return message satisfies never;
  }
}

async function answer(id: number, call: DiaryCall): Promise<void> {
  try {
    send({ type: 'answer', id, value: await ask(call) });
  } catch (error) {
    send({ type: 'refusal', id, error: transferred(error) });
  }
}

function ask(call: DiaryCall): Promise<DiaryAnswers[keyof DiaryAnswers]> {
  switch (call.method) {
    case 'projections':
      return projector.projections();
    case 'metrics':
      return projector.metrics();
    case 'rebuild':
      return projector.rebuild(call.name);
    default:
      return call satisfies never;
  }
}

function sendHealth(): void {
  send({ type: 'health', isStarted, health: projector.health() });
}

function send(message: FromDiaryThread): void {
  parentPort?.postMessage(message);
}

function transferred(error: unknown): TransferredError {
  if (!(error instanceof Error)) return { message: String(error), code: null, problem: null };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  const problem = error instanceof QueryProblem ? { status: error.status, title: error.title, detail: error.detail } : null;
  return { message: error.message, code, problem };
}

function logToHost(): Logger {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: LogFields, message: string) =>
    send({ type: 'log', level, fields: cloneable(fields), message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Errors as text: their classes and causes cannot be cloned. */
function cloneable(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? (value.stack ?? value.message) : value]));
}

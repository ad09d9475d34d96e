import { onTestFinished } from 'vitest';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { EmbeddedEventAppender } from '../../src/adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../src/adapters/embedded/embedded-event-reader.ts';
import { openEmbeddedStore } from '../../src/adapters/embedded/embedded-store.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import { SystemIds } from '../../src/adapters/system/system-ids.ts';
import type { Role } from '../../src/apps/config.ts';
import type { ApiKey } from '../../src/apps/http/api-keys.ts';
import { HttpApp } from '../../src/apps/http/http-app.ts';
import { createLogger } from '../../src/apps/logging.ts';
import { PortsModule } from '../../src/apps/ports.module.ts';
import { decodeEvent } from '../../src/domain/event-codec.ts';
import { DaybookError } from '../../src/domain/errors.ts';
import type { LogRecord, StoredRecord } from '../../src/domain/log-record.ts';
import type { TaskEvent } from '../../src/domain/task-events.ts';
import { EventProducer } from '../../src/event-producer/event-producer.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { AppendedRecord, EventAppender } from '../../src/ports/event-appender.ts';
import type { DependencyHealth } from '../../src/ports/service.ts';
import { AcceptTask, type AcceptSettings } from '../../src/task-api/accept-task.ts';
import { TaskApiModule } from '../../src/task-api/task-api.module.ts';
import { defineTask } from '../../src/task-definition/define-task.ts';
import { handle } from '../../src/task-definition/handle.ts';
import { TaskCatalog } from '../../src/task-definition/task-catalog.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const checksum = defineTask({ type: 'file.checksum', payload: z.object({ path: z.string() }), queue: 'files' });
export const anything = defineTask({ type: 'any.thing', version: 2, payload: z.unknown(), upcast: { 1: (payload: never) => payload } });

/** Its schema repeats the value in its message, as some libraries do. */
export const talkative = defineTask({
  type: 'talk.ative',
  payload: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ issues: [{ message: `wrong: ${JSON.stringify(value)}`, path: ['card', { key: 0 }] }] }) } },
});

const nothing = () => null;

/** The real appender, whose calls can be made to fail as a log that is away does. */
export class FaultyAppender implements EventAppender {
  readonly topic: string;
  readonly #inner: EventAppender;
  /** Set: `append` fails so instead of storing. */
  fault: 'log-unavailable' | 'log-rejected' | 'stopped' | null = null;
  calls = 0;

  constructor(inner: EventAppender) {
    this.#inner = inner;
    this.topic = inner.topic;
  }

  async append(record: LogRecord): Promise<AppendedRecord> {
    this.calls += 1;
    if (this.fault !== null) throw new DaybookError(this.fault, 'injected');
    return this.#inner.append(record);
  }
}

export interface ApiEdgeOptions extends Partial<AcceptSettings> {
  readonly clock?: Clock;
  readonly apiKeys?: readonly ApiKey[];
  readonly bodyLimitBytes?: number;
  readonly roles?: readonly Role[];
  readonly health?: () => readonly DependencyHealth[];
}

const source = '/daybook/api/test';
const catalog = new TaskCatalog([handle(checksum, nothing), handle(anything, nothing), handle(talkative, nothing)]);
const settings: AcceptSettings = { payloadLimitBytes: 262_144, depthLimit: 32, recentKeys: 1_000, rejectionsPerSecond: 1_000 };

/** The use cases of the api over an embedded log in a folder of its own. Call it inside a test. */
export function openTaskApi(options: ApiEdgeOptions = {}) {
  const clock = options.clock ?? new SystemClock();
  const store = openEmbeddedStore({ folder: temporaryFolder(), clock });
  const reader = new EmbeddedEventReader(store);
  onTestFinished(async () => {
    reader.close();
    await store.close();
  });
  const appender = new FaultyAppender(new EmbeddedEventAppender(store));
  const ids = new SystemIds(clock);
  const acceptTask = new AcceptTask(new EventProducer(appender, clock, source), catalog, clock, ids, { ...settings, ...options });
  const records = (): Promise<readonly StoredRecord[]> => readAll(reader);
  return { acceptTask, clock, ids, appender, records, events: async () => (await records()).map(readable) };
}

/** The HTTP edge over `openTaskApi`. Log lines are collected. Call it inside a test. */
export async function openApiEdge(options: ApiEdgeOptions = {}) {
  const api = openTaskApi(options);
  const lines: string[] = [];
  const registry = new Registry();
  const ports = PortsModule.of({ eventAppender: api.appender, clock: api.clock, ids: api.ids });
  const app = await HttpApp.create({
    module: TaskApiModule.register(ports, source, catalog, { ...settings, ...options }),
    roles: new Set(options.roles ?? ['api']),
    source: () => ({ health: options.health ?? (() => []), registry }),
    logger: createLogger({ level: 'debug', pretty: false, destination: { write: (line) => void lines.push(line) } }),
    apiKeys: options.apiKeys ?? null,
    bodyLimitBytes: options.bodyLimitBytes ?? 1_048_576,
    version: '0.0.0-test',
  });
  onTestFinished(() => app.close());
  const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    });
  return { appender: api.appender, records: api.records, events: api.events, app, lines, post, submit: (body: unknown, headers?: Record<string, string>) => post('/v1/tasks', body, headers) };
}

async function readAll(reader: EmbeddedEventReader): Promise<readonly StoredRecord[]> {
  const end = (await reader.endPositions()).get(0) ?? 0;
  const found = await reader.readAt(Array.from({ length: end }, (_, offset) => ({ partition: 0, offset })));
  return found.filter((record) => record !== null);
}

function readable(record: StoredRecord): TaskEvent {
  const event = decodeEvent(record);
  if (event.type === 'Unreadable') throw new Error(`offset ${record.offset} is not readable: ${event.detail}`);
  return event;
}

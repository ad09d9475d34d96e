import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the receiver saw of one idempotency key. */
export interface Delivery {
  /** How often it was called. */
  calls: number;
  /** How often it did what the call asked for: once, whatever happens. */
  effects: number;
}

/** How the receiver treats the first call of a key; it accepts every later one. */
export type FirstCall = 'accept' | 'busy' | 'answer-lost';

export interface WebhookReceiver {
  readonly url: string;
  readonly deliveries: ReadonlyMap<string, Delivery>;
  close(): Promise<void>;
}

const longestBody = 1_000_000;

/**
 * A small server that honours `Idempotency-Key`, as a good receiver of webhooks does, and that can be as unpleasant
 * as a real one: the query `?first=busy` is refused with 503 at first, and `?first=answer-lost` takes effect, and then
 * the connection breaks before the answer. Listens on a free port of the loopback address.
 */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const deliveries = new Map<string, Delivery>();
  const server = createServer((request, response) => {
    receive(request, response, deliveries).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    deliveries,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function receive(request: IncomingMessage, response: ServerResponse, deliveries: Map<string, Delivery>): Promise<void> {
  const key = request.headers['idempotency-key'];
  if (request.method !== 'POST' || typeof key !== 'string') return answer(response, 400);
  if (!(await isJson(request))) return answer(response, 422);

  const delivery = deliveries.get(key) ?? { calls: 0, effects: 0 };
  deliveries.set(key, delivery);
  delivery.calls += 1;

  const first = new URL(request.url ?? '/', 'http://receiver').searchParams.get('first');
  if (delivery.calls === 1 && first === 'busy') return answer(response.setHeader('retry-after', '1'), 503);
  if (delivery.effects === 0) delivery.effects += 1;
  if (delivery.calls === 1 && first === 'answer-lost') return void request.socket.destroy();
  answer(response, 200);
}

function answer(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}

async function isJson(request: IncomingMessage): Promise<boolean> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > longestBody) return false;
  }
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

/** `connection.blocked` with the reason "low on memory", and `connection.unblocked`, as a broker sends them. */
const blockedFrame = methodFrame(10, 60, shortText('low on memory'));
const unblockedFrame = methodFrame(10, 61, Buffer.alloc(0));

/** Stands between a client and RabbitMQ, and breaks what is between them. */
export class RabbitmqProxy {
  readonly #target: URL;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #stalled = false;
  #refusing = false;
  #accepted = 0;

  /** @param tls with it, clients come by TLS; the way to the broker stays plain */
  static async start(target: string, tls?: { readonly key: Buffer; readonly cert: Buffer }): Promise<RabbitmqProxy> {
    const proxy = new RabbitmqProxy(target, tls);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(target: string, tls?: { readonly key: Buffer; readonly cert: Buffer }) {
    this.#target = new URL(target);
    const accept = (client: Socket) => this.#accept(client);
    this.#server = tls ? createTlsServer(tls, accept) : createServer(accept);
  }

  /** As the broker's URL. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /** As `url`, for a proxy that was started with TLS. */
  get tlsUrl(): string {
    return this.url.replace(/^amqp:/, 'amqps:');
  }

  /** Connections that were taken until now. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Drops every connection, with the bytes that are on their way. New ones are taken. */
  cut(): void {
    for (const pair of [...this.#pairs]) pair.destroy();
  }

  /** Drops every connection, and each new one at once, until `mend`. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  /** Takes connections and lets no byte through, until `mend`, as a broker or a network that froze. */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) pair.pause();
  }

  /** Lets the present connections stand open and dead; new ones work. */
  abandon(): void {
    for (const pair of this.#pairs) pair.pause();
  }

  /** Lets new connections work. What was stalled goes on where it stopped. */
  mend(): void {
    this.#refusing = this.#stalled = false;
    for (const pair of this.#pairs) pair.resume();
  }

  /** Tells every client what a broker in a memory alarm tells. The connections must be idle. */
  block(): void {
    for (const { client } of this.#pairs) client.write(blockedFrame);
  }

  unblock(): void {
    for (const { client } of this.#pairs) client.write(unblockedFrame);
  }

  async close(): Promise<void> {
    this.refuse();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#refusing) return void client.destroy();
    const pair = new Pair(client, connect(Number(this.#target.port || 5672), this.#target.hostname), () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    this.#accepted += 1;
    if (this.#stalled) pair.pause();
  }
}

class Pair {
  readonly client: Socket;
  readonly #broker: Socket;
  readonly #onGone: () => void;

  constructor(client: Socket, broker: Socket, onGone: () => void) {
    this.client = client;
    this.#broker = broker;
    this.#onGone = onGone;
    client.setNoDelay(true);
    broker.setNoDelay(true);
    client.on('data', (bytes) => broker.write(bytes));
    broker.on('data', (bytes) => client.write(bytes));
    for (const socket of [client, broker]) {
      socket.on('error', () => this.destroy());
      socket.on('close', () => this.destroy());
    }
  }

  pause(): void {
    this.client.pause();
    this.#broker.pause();
  }

  resume(): void {
    this.client.resume();
    this.#broker.resume();
  }

  destroy(): void {
    this.client.destroy();
    this.#broker.destroy();
    this.#onGone();
  }
}

/** A frame of the connection's own channel, as AMQP 0-9-1 writes it. */
function methodFrame(classId: number, methodId: number, fields: Buffer): Buffer {
  const head = Buffer.alloc(11);
  head.writeUInt8(1, 0);
  head.writeUInt16BE(0, 1);
  head.writeUInt32BE(4 + fields.length, 3);
  head.writeUInt16BE(classId, 7);
  head.writeUInt16BE(methodId, 9);
  return Buffer.concat([head, fields, Buffer.from([0xce])]);
}

function shortText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}

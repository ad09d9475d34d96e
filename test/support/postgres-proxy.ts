import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP proxy before PostgreSQL that fails in the ways of a network: it cuts, swallows, and loses one answer. */
export class PostgresProxy {
  readonly #target: URL;
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  #frozen = false;
  #broken = false;
  #fatalText: string | null = null;
  #lostAnswers = 0;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async open(target: string): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(new URL(target));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** The target's URL, by way of the proxy. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /** Answers that were lost because of `loseAnswerTo`. */
  get lostAnswers(): number {
    return this.#lostAnswers;
  }

  /** Breaks every connection, and each new one at once. */
  cut(): void {
    this.#broken = true;
    this.dropConnections();
  }

  /** Breaks every connection; new ones work. */
  dropConnections(): void {
    for (const pair of this.#pairs) pair.destroy();
  }

  /** Swallows what comes from either side, also from connections that come later. */
  freeze(): void {
    this.#frozen = true;
  }

  /** From now on everything works again, save what was swallowed. */
  mend(): void {
    this.#broken = false;
    this.#frozen = false;
    this.#fatalText = null;
  }

  /** The next message with that text reaches the server; its answer does not come back: the connection breaks instead. */
  loseAnswerTo(text: string): void {
    this.#fatalText = text;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.#broken) return void client.destroy();
    const server = connect(Number(this.#target.port || 5432), this.#target.hostname);
    const pair = new Pair(client, server);
    this.#pairs.add(pair);
    let isDoomed = false;
    client.on('data', (data) => {
      if (this.#frozen) return;
      if (this.#fatalText !== null && data.includes(this.#fatalText)) {
        isDoomed = true;
        this.#fatalText = null;
      }
      server.write(data);
    });
    server.on('data', (data) => {
      if (this.#frozen) return;
      if (!isDoomed) return void client.write(data);
      this.#lostAnswers += 1;
      pair.destroy();
    });
    for (const socket of [client, server]) {
      socket.on('error', () => pair.destroy());
      socket.on('close', () => {
        pair.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}

class Pair {
  readonly #client: Socket;
  readonly #server: Socket;

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
  }

  destroy(): void {
    this.#client.destroy();
    this.#server.destroy();
  }
}

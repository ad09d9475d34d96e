import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Certificate } from '../../tools/brokers/certificate.ts';

/** Speaks TLS as a PostgreSQL server does, and hands what it hears to one that does not. */
export class PostgresTlsProxy {
  readonly #target: URL;
  readonly #certificate: Certificate;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: URL, certificate: Certificate) {
    this.#target = target;
    this.#certificate = certificate;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async open(target: string, certificate: Certificate): Promise<PostgresTlsProxy> {
    const proxy = new PostgresTlsProxy(new URL(target), certificate);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    const url = new URL(this.#target);
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    // The client asks for TLS in 8 bytes, and waits for the answer before it goes on.
    client.once('data', () => {
      client.write('S');
      const { key, cert } = this.#certificate;
      const secured = new TLSSocket(client, { isServer: true, key, cert });
      secured.on('error', () => client.destroy());
      secured.pipe(server);
      server.pipe(secured);
    });
  }
}

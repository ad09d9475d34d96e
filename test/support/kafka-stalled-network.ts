import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/**
 * The network as this process sees it. While it is stalled, connections are made as ever, but nothing leaves and
 * nothing arrives: that is how a frozen server looks from outside. It touches no other process.
 */
export class StalledNetwork {
  readonly #sockets = new Set<Socket>();
  #stalled = false;

  /** Sees the connections that are made from now on. */
  constructor() {
    subscribe('net.client.socket', this.#onSocket);
  }

  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) stop(socket);
  }

  /** What this process sends still leaves, but the connections there are bring no answer any more; new ones do. */
  loseAnswers(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  resume(): void {
    if (!this.#stalled) return;
    this.#stalled = false;
    for (const socket of this.#sockets) {
      socket.uncork();
      socket.resume();
    }
  }

  /** Idempotent. */
  close(): void {
    this.resume();
    unsubscribe('net.client.socket', this.#onSocket);
  }

  readonly #onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#stalled) stop(socket);
  };
}

function stop(socket: Socket): void {
  socket.pause();
  socket.cork();
}

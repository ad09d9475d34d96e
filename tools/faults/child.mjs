import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';

/** The writer or the reader: a process of its own that reports its progress and ends when it is told. */
export class Child {
  #name;
  #process;
  #exit;
  progress = {};

  /** @param name of the file beside this one, without `.ts` */
  constructor(name, options) {
    this.#name = name;
    const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
    this.#process = fork(file, [JSON.stringify(options)], { execArgv: ['--disable-warning=ExperimentalWarning'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#process.on('message', (progress) => (this.progress = progress));
    this.#exit = once(this.#process, 'exit');
  }

  /** Rejects after `limitMs`, or when the process ended. */
  async until(holds, limitMs) {
    const endMs = performance.now() + limitMs;
    while (!holds(this.progress)) {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) throw new Error(`the ${this.#name} ended early`);
      if (performance.now() > endMs) throw new Error(`the ${this.#name} only got to ${JSON.stringify(this.progress)} within ${limitMs / 1000} s`);
      await pause(50);
    }
  }

  /** Tells it to come to its end, and waits for that. */
  async finish(message, limitMs) {
    if (this.#process.connected) this.#process.send(message);
    const timer = new AbortController();
    const late = pause(limitMs, null, { signal: timer.signal }).catch(() => null);
    const ended = await Promise.race([this.#exit, late]);
    timer.abort();
    if (ended === null) throw new Error(`the ${this.#name} did not end within ${limitMs / 1000} s; it got to ${JSON.stringify(this.progress)}`);
    if (ended[0] !== 0) throw new Error(`the ${this.#name} ended with ${ended[0] ?? ended[1]}`);
  }

  async kill() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await this.#exit;
  }
}

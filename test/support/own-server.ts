import { spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';
import { brokerOf, brokersFolder, startedBroker, type BrokerVariable } from './brokers.ts';

export type ServerName = 'kafka' | 'rabbitmq' | 'postgres';

const variables: Readonly<Record<ServerName, BrokerVariable>> = {
  kafka: 'DAYBOOK_KAFKA_BROKERS',
  rabbitmq: 'DAYBOOK_RABBITMQ_URL',
  postgres: 'DAYBOOK_POSTGRES_URL',
};
const folder = fileURLToPath(brokersFolder);
const tools = fileURLToPath(new URL('../../tools/brokers/', import.meta.url));
/** Longer than any test may leave a server frozen. */
const longestFreezeSeconds = 60;

/** The ways in which a server is away. */
export const outages = ['frozen', 'stopped'] as const;
export type OutageKind = (typeof outages)[number];

/**
 * The server that the tests run on, when `make brokers` started it on this machine; null, and the reason is printed,
 * when it is another one, which must not be touched from here.
 */
export function ownServer(name: ServerName): OwnServer | null {
  const variable = variables[name];
  if (brokerOf(variable) === startedBroker(variable)) return new OwnServer(name);
  console.log(`${name} cannot be stopped or frozen from here: ${variable} names another server than the one that \`make brokers\` started`);
  return null;
}

/**
 * A server that a test may stop, freeze and bring back, with what it holds. Whatever becomes of the test, the server
 * runs again afterwards.
 */
export class OwnServer {
  readonly #name: ServerName;
  /** What keeps it on its port: a stop forgets it. */
  readonly #environment: Readonly<Record<string, string>>;
  readonly #frozen: number[] = [];

  constructor(name: ServerName) {
    this.#name = name;
    const [first, ...others] = brokerOf(variables[name]).split(',');
    const port = /:(\d+)(?:\/[^:]*)?$/.exec(first ?? '')?.[1] ?? '';
    this.#environment = { ONLY: name, [`${name.toUpperCase()}_PORT`]: port, ...(name === 'kafka' ? { KAFKA_NODES: String(1 + others.length) } : {}) };
  }

  /** Resolves when it is away. */
  async begin(outage: OutageKind): Promise<void> {
    onTestFinished(() => this.bringBack());
    if (outage === 'stopped') await this.#run('stop.mjs');
    else this.#freeze();
  }

  /** Stops it and removes all that it holds; `bringBack` starts it empty. Only of RabbitMQ, the one that may lose everything. */
  async wipe(): Promise<void> {
    if (this.#name !== 'rabbitmq') throw new Error(`${this.#name} is never wiped by a test`);
    await this.begin('stopped');
    rmSync(join(folder, this.#name, 'data'), { recursive: true });
  }

  /**
   * Wakes or starts it; resolves when it has answered a round trip. A client that keeps trying a port above 32,767 may
   * be given that very port, connect to itself, and hold it until it notices: hence more than one try.
   */
  async bringBack(): Promise<void> {
    this.#wake();
    await eventually(() => this.#run('start.mjs').then(() => true), { timeoutMs: 60_000 });
  }

  #wake(): void {
    for (const pid of this.#frozen.splice(0)) signal(pid, 'SIGCONT');
  }

  /** Stops every process of it where it stands. They go on by themselves when this process dies before it wakes them. */
  #freeze(): void {
    const pids = pidFiles(this.#name).flatMap(processesOf);
    if (pids.length === 0) throw new Error(`no process of ${this.#name} was found below ${folder}`);
    const guard = spawn('sh', ['-c', `sleep ${longestFreezeSeconds}; kill -CONT ${pids.join(' ')}`], { detached: true, stdio: 'ignore' });
    guard.unref();
    onTestFinished(() => {
      this.#wake();
      if (guard.pid !== undefined) signal(-guard.pid, 'SIGKILL');
    });
    for (const pid of pids) signal(pid, 'SIGSTOP');
    this.#frozen.push(...pids);
  }

  async #run(script: string): Promise<void> {
    const child = spawn(process.execPath, [join(tools, script)], { env: { ...process.env, ...this.#environment }, stdio: ['ignore', 'ignore', 'pipe'] });
    const [said, code] = await Promise.all([text(child.stderr), new Promise<number | null>((resolve) => child.once('exit', resolve))]);
    if (code !== 0) throw new Error(`${script} for ${this.#name} ended with ${code}: ${said}`);
  }
}

const pidFilesOf: Readonly<Record<ServerName, string>> = { kafka: 'kafka/*/node-*/kafka.pid', rabbitmq: 'rabbitmq/rabbitmq.pid', postgres: 'postgres/postgres.pid' };

function pidFiles(name: ServerName): string[] {
  return globSync(pidFilesOf[name], { cwd: folder }).map((file) => join(folder, file));
}

/** The process of a pid file and its children: PostgreSQL has one for each session. None when it is a stranger's. */
function processesOf(pidFile: string): number[] {
  const pid = Number(readFileSync(pidFile, 'utf8').trim());
  const command = `/proc/${pid}/cmdline`;
  if (!(pid > 1) || !existsSync(command) || !readFileSync(command, 'utf8').includes(folder)) return [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
  // The parent first: from then on it makes no new ones.
  return [pid, ...children];
}

/** A process that has ended meanwhile needs none. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

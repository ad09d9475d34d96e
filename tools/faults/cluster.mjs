// The servers that the faults are done to: a set of their own, beside whatever `make brokers` runs.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ConnectionPool, describeQuorumV2 } from '@platformatic/kafka';
import { kafka } from '../brokers/kafka.mjs';
import { runningPid, stopProcess, wake } from '../brokers/processes.mjs';
import { waitUntil } from '../brokers/wait-until.mjs';

const defaultPort = 29_092;
const sampleMs = 200;

export class Cluster {
  #settings;
  #starting = Promise.resolve();
  stopped = false;

  /** @param settings of tools/brokers; its folder must belong to the faults alone */
  constructor(settings) {
    this.#settings = { ...settings, tls: false, kafka: { ...settings.kafka, port: settings.kafka.port ?? defaultPort } };
  }

  /** All nodes' addresses, the first bootstrap server first. */
  get addresses() {
    return this.nodes.map(({ port }) => `127.0.0.1:${port}`);
  }

  /** `[{ id, port, controllerPort, server }]`. */
  get nodes() {
    return kafka.nodes(this.#settings);
  }

  /** Starts what is not there, wakes what is frozen, and waits until every node takes part and every replica is in sync. */
  async start(nodes = this.#settings.kafka.nodes) {
    if (this.stopped) throw new Error('the servers were stopped for good');
    this.#settings.kafka.nodes = nodes;
    this.#starting = kafka.start(this.#settings);
    await this.#starting;
  }

  /** For good, and also what a start under way has started. */
  async stop() {
    this.stopped = true;
    await kafka.stop(this.#settings);
    await this.#starting.catch(() => undefined); // whoever started hears of it
    await kafka.stop(this.#settings);
  }

  /** @returns `{ leaders, inSync }`: by partition the leader's id and the ids of the replicas in sync, asked of the given nodes */
  topic(topic, asked = this.nodes) {
    const brokers = asked.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const { status, stdout, stderr } = spawnSync('kcat', ['-L', '-J', '-b', brokers, '-t', topic, '-m', '5'], { encoding: 'utf8', timeout: 10_000 });
    if (status !== 0) throw new Error(`kcat -L: ${stderr}`);
    const partitions = JSON.parse(stdout).topics[0].partitions.toSorted((a, b) => a.partition - b.partition);
    return { leaders: partitions.map(({ leader }) => leader), inSync: partitions.map(({ isrs }) => isrs.map(({ id }) => id)) };
  }

  /** Until each partition of the topic has all its replicas in sync. */
  async whole(topic) {
    const attempt = async () => {
      const behind = this.topic(topic).inSync.filter((ids) => ids.length < this.nodes.length).length;
      if (behind > 0) throw new Error(`${behind} partitions of ${topic} have replicas behind`);
    };
    await waitUntil(attempt, { limitMs: 90_000, attemptMs: 15_000, everyMs: 500 });
  }

  /** The id of the active controller, as the voters know it. Metadata does not tell: there any broker is named. */
  async controller(asked = this.nodes) {
    return waitUntil(() => Promise.any(asked.map(controllerKnownTo)), { limitMs: 20_000 });
  }

  async kill(nodes) {
    for (const node of nodes) process.kill(pidOf(node), 'SIGKILL');
    await waitUntil(async () => assertAll(nodes, 'dead'), { limitMs: 5_000, everyMs: 20 });
  }

  async freeze(nodes) {
    for (const node of nodes) process.kill(pidOf(node), 'SIGSTOP');
    await waitUntil(async () => assertAll(nodes, 'frozen'), { limitMs: 5_000, everyMs: 20 });
  }

  wake(nodes) {
    for (const { server } of nodes) wake(server);
  }

  /** In good order, as a restart does it. */
  async shutDown(node) {
    await stopProcess(node.server, { limitMs: 30_000 });
    assertAll([node], 'dead');
  }

  /** Waits, and throws when one of the nodes is seen in another state (`dead` or `frozen`) meanwhile. */
  async hold(nodes, state, forMs) {
    const endMs = performance.now() + forMs;
    while (performance.now() < endMs) {
      assertAll(nodes, state);
      await pause(sampleMs);
    }
    assertAll(nodes, state);
  }
}

function pidOf({ id, server }) {
  const pid = runningPid(server);
  if (pid === null) throw new Error(`node ${id} does not run, so nothing can be done to it`);
  return pid;
}

function assertAll(nodes, state) {
  for (const node of nodes) if (stateOf(node) !== state) throw new Error(`node ${node.id} is ${stateOf(node)} and should be ${state}`);
}

/** `dead`, `frozen` or `running`, by what the kernel says of the process. */
function stateOf({ server }) {
  const pid = runningPid(server);
  if (pid === null) return 'dead';
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? 'frozen' : 'running';
}

/**
 * Asked at the node's own controller, where only the active one answers. A broker would pass the question on to the
 * controller it knows, and wait 30 s where that is frozen.
 */
async function controllerKnownTo({ controllerPort }) {
  const pool = new ConnectionPool('faults', { connectTimeout: 1_000, requestTimeout: 2_000 });
  pool.on('connecting', ({ connection }) => connection.on('error', () => undefined)); // requests carry their own errors
  try {
    const connection = await pool.get({ host: '127.0.0.1', port: controllerPort });
    const answer = await describeQuorumV2.api.async(connection, [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]);
    const [{ leaderId, errorCode }] = answer.topics[0].partitions;
    if (errorCode !== 0) throw new Error(`error ${errorCode}`);
    return leaderId;
  } finally {
    await pool.close();
  }
}

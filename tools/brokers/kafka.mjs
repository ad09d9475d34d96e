// Apache Kafka in KRaft mode, every node broker and controller at once, from the jars that pom.xml names.
// The cluster of one and the cluster of three keep their data apart, so each comes back with what it held.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BrokersError } from './brokers-error.mjs';
import { kafkaRoundTrip } from './kafka-round-trip.mjs';
import { isOnPath } from './packages.mjs';
import { assertPortIsFree, runningPid, serverProcess, startProcess, stopProcess, waitForReadiness, wake } from './processes.mjs';
import { forgetStarted, readStarted, writeStarted } from './started-settings.mjs';
import { say } from './say.mjs';
import { secretIn } from './secret.mjs';
import { projectFolder, toolsFolder } from './settings.mjs';
import { serverCertificate, wantsOpenssl } from './tls.mjs';

const defaultPort = 19_092;
const user = 'daybook';
const scramMechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];
/** After kill -9 a node checks its log and waits for its old registration to expire: 15 to 30 s on a busy machine. */
const readinessLimitMs = 120_000;

const pomFile = join(toolsFolder, 'pom.xml');
export const version = /<kafka\.version>(.+)<\/kafka\.version>/.exec(readFileSync(pomFile, 'utf8'))[1];
/** Outside the data folder: removing the data is no reason to fetch 55 MB again. */
const distribution = join(projectFolder, '.tools', `kafka-${version}`);

export const kafka = {
  name: 'Kafka',

  wants: () => [
    { present: () => isOnPath('java'), packages: ['default-jre-headless'] },
    { present: () => hasJars() || isOnPath('mvn'), packages: ['maven'] },
    wantsOpenssl,
  ],

  prepare: fetchJars,

  async start(settings) {
    const folder = join(settings.folder, 'kafka');
    const started = readStarted(folder);
    const wanted = {
      port: settings.kafka.port ?? started?.port ?? defaultPort,
      nodes: settings.kafka.nodes ?? started?.nodes ?? 1,
      tls: settings.tls ?? started?.tls ?? false,
    };
    if (started !== null && describe(started) !== describe(wanted)) {
      say(`Kafka: stopping ${describe(started)} for ${describe(wanted)}`);
      await this.stop(settings);
    }
    const nodes = nodesOf(folder, wanted);
    const missing = nodes.filter((node) => runningPid(node.server) === null);
    for (const node of missing) {
      await assertPortIsFree(node.port, 'KAFKA_PORT');
      await assertPortIsFree(node.controllerPort, 'KAFKA_PORT');
      if (wanted.tls) await assertPortIsFree(node.tlsPort, 'KAFKA_PORT');
    }
    if (missing.length > 0) say(`Kafka: starting ${missing.length} of ${describe(wanted)}`);
    writeStarted(folder, wanted);
    const login = wanted.tls ? { certificate: serverCertificate(settings), password: passwordIn(folder) } : null;
    for (const node of missing) startNode(node, nodes, settings.kafka.heapMb, login);
    for (const node of nodes) wake(node.server);
    await waitForReadiness('Kafka', nodes.map((node) => node.server), () => kafkaRoundTrip(addressesOf(wanted)), { limitMs: readinessLimitMs });
  },

  /** All nodes at once: one after another, the last would wait for a majority that is gone. */
  async stop(settings) {
    const folder = join(settings.folder, 'kafka');
    const started = readStarted(folder);
    if (started === null) return false;
    await Promise.all(nodesOf(folder, started).map((node) => stopProcess(node.server, { limitMs: 20_000 })));
    forgetStarted(folder);
    return true;
  },

  /** `[{ id, port, controllerPort, server }]` of a cluster with that port and number of nodes, for whoever does something to single nodes. */
  nodes: ({ folder, kafka: { port, nodes } }) => nodesOf(join(folder, 'kafka'), { port, nodes }),

  environment(settings) {
    const folder = join(settings.folder, 'kafka');
    const started = readStarted(folder);
    const runs = started !== null && nodesOf(folder, started).some((node) => runningPid(node.server) !== null);
    if (!runs) return {};
    if (!started.tls) return { DAYBOOK_KAFKA_BROKERS: addressesOf(started).join(',') };
    return {
      DAYBOOK_KAFKA_BROKERS: nodesOf(folder, started).map(({ tlsPort }) => `127.0.0.1:${tlsPort}`).join(','),
      DAYBOOK_KAFKA_TLS: 'on',
      DAYBOOK_KAFKA_CA_FILE: serverCertificate(settings).file,
      DAYBOOK_KAFKA_SASL: 'scram-sha-512',
      DAYBOOK_KAFKA_USERNAME: user,
      DAYBOOK_KAFKA_PASSWORD: passwordIn(folder),
    };
  },
};

const describe = ({ nodes, port, tls }) => `${nodes === 1 ? 'one node' : `${nodes} nodes`} from port ${port}${tls ? ' with TLS' : ''}`;
const passwordIn = (folder) => secretIn(join(folder, 'password'));
const addressesOf = ({ port, nodes }) => Array.from({ length: nodes }, (_, index) => `127.0.0.1:${port + index}`);

/** With TLS the data is apart: the users that log in are written when it is formatted. */
function nodesOf(folder, { port, nodes, tls }) {
  const cluster = join(folder, `${nodes === 1 ? 'one-node' : `${nodes}-nodes`}${tls ? '-with-tls' : ''}`);
  return Array.from({ length: nodes }, (_, index) => ({
    id: index + 1,
    port: port + index,
    controllerPort: port + 100 + index,
    tlsPort: port + 50 + index,
    cluster,
    server: serverProcess('kafka', join(cluster, `node-${index + 1}`)),
  }));
}

function startNode(node, nodes, heapMb, login) {
  const { folder } = node.server;
  const properties = join(folder, 'server.properties');
  mkdirSync(folder, { recursive: true });
  writeFileSync(properties, propertiesOf(node, nodes, login), { mode: 0o600 });
  if (!existsSync(join(folder, 'data', 'meta.properties'))) format(node, properties, login);
  startProcess(node.server, [...java(heapMb), 'kafka.Kafka', properties]);
}

/** Writes the cluster's id into the node's data folder, which a node needs before its first start. */
function format(node, properties, login) {
  const users = scramMechanisms.flatMap((mechanism) => (login ? ['--add-scram', `${mechanism}=[name=${user},password=${login.password}]`] : []));
  const { status, stdout, stderr } = spawnSync(
    ...commandAndArguments([...java(128), 'kafka.tools.StorageTool', 'format', '-t', clusterId(node.cluster), '-c', properties, '--ignore-formatted', ...users]),
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new BrokersError(`Kafka's data folder ${node.server.folder} could not be formatted:\n${stdout ?? ''}${stderr ?? ''}`);
}

const commandAndArguments = ([command, ...args]) => [command, args];

/** One id for all nodes. Kafka's tools take a leading "-" for an option. */
function clusterId(cluster) {
  const file = join(cluster, 'cluster-id');
  if (!existsSync(file)) {
    let id;
    do id = randomBytes(16).toString('base64url');
    while (id.startsWith('-'));
    writeFileSync(`${file}.new`, id);
    renameSync(`${file}.new`, file);
  }
  return readFileSync(file, 'utf8');
}

/** The options keep a node near 300 MB; the defaults are made for machines of their own. */
function java(heapMb) {
  return [
    'java', '-Xms128m', `-Xmx${heapMb}m`, '-XX:+UseSerialGC', '-XX:MaxDirectMemorySize=128m', '-XX:ReservedCodeCacheSize=64m', '-Xss512k',
    '-XX:-UsePerfData', '-XX:+ExitOnOutOfMemoryError', '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=${join(toolsFolder, 'log4j2.properties')}`, '-cp', join(distribution, 'libs', '*'),
  ];
}

function propertiesOf(node, nodes, login) {
  const replicas = nodes.length;
  const secured = login ? [`SASL_SSL://127.0.0.1:${node.tlsPort}`] : [];
  const minimumInSync = replicas === 1 ? 1 : 2;
  const lines = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(','),
    listeners: [`PLAINTEXT://127.0.0.1:${node.port}`, `CONTROLLER://127.0.0.1:${node.controllerPort}`, ...secured].join(','),
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${node.port}`, ...secured].join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL',
    'log.dirs': join(node.server.folder, 'data'),
    // A topic comes into being by Daybook's own check, with its settings, or not at all.
    'auto.create.topics.enable': false,
    'unclean.leader.election.enable': false,
    'default.replication.factor': replicas,
    'min.insync.replicas': minimumInSync,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': minimumInSync,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': minimumInSync,
    // A dead or frozen node gives up its partitions after 3 s instead of 9.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    // Sizes for one machine: 50 partitions of each internal topic and a cleaner buffer of 128 MB are the defaults.
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.num.partitions': 4,
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    'log.segment.bytes': 16_777_216,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    ...(login ? securedListener(node, login) : {}),
  };
  return `${Object.entries(lines).map(([name, value]) => `${name}=${value}`).join('\n')}\n`;
}

/** Clients prove who they are by one of three mechanisms, all of the same user, and are encrypted. */
function securedListener({ server }, { certificate, password }) {
  const keystore = join(server.folder, 'keystore.pem');
  writeFileSync(keystore, Buffer.concat([certificate.key, certificate.cert]), { mode: 0o600 });
  const security = 'org.apache.kafka.common.security';
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keystore,
    'sasl.enabled.mechanisms': ['PLAIN', ...scramMechanisms].join(','),
    'listener.name.sasl_ssl.plain.sasl.jaas.config': `${security}.plain.PlainLoginModule required user_${user}="${password}";`,
    ...Object.fromEntries(scramMechanisms.map((mechanism) => [`listener.name.sasl_ssl.${mechanism.toLowerCase()}.sasl.jaas.config`, `${security}.scram.ScramLoginModule required;`])),
  };
}

/** The jars are there, and are those that pom.xml names now. */
function hasJars() {
  const taken = join(distribution, 'pom.xml');
  return existsSync(taken) && readFileSync(taken, 'utf8') === readFileSync(pomFile, 'utf8');
}

/** Copies the jars into a folder beside the final one and renames it when complete: half a distribution is never used. */
function fetchJars() {
  if (hasJars()) return;
  say(`Kafka: fetching ${version} from Maven Central (about 55 MB)`);
  mkdirSync(join(projectFolder, '.tools'), { recursive: true });
  const work = mkdtempSync(join(projectFolder, '.tools', 'fetch-kafka-'));
  try {
    copyFileSync(pomFile, join(work, 'pom.xml'));
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'];
    const { status, stdout, stderr, error } = spawnSync('mvn', ['-B', '-q', '-Dstyle.color=never', ...goal], { cwd: work, encoding: 'utf8' });
    if (status !== 0) throw new BrokersError(`Maven could not fetch Kafka's jars:\n${error?.message ?? `${stdout}${stderr}`}`);
    rmSync(distribution, { recursive: true, force: true });
    renameSync(work, distribution);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

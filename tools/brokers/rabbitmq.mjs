// Debian's RabbitMQ under its own node name, cookie, ports and port mapper (epmd), all on loopback, so that it never
// meets another one on the machine. The user that a fresh RabbitMQ would let in by a known password does not exist.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertPortIsFree, runningPid, serverProcess, startProcess, stopProcess, waitForReadiness, wake } from './processes.mjs';
import { rabbitmqRoundTrip } from './rabbitmq-round-trip.mjs';
import { forgetStarted, readStarted, writeStarted } from './started-settings.mjs';
import { say } from './say.mjs';
import { secretIn } from './secret.mjs';
import { serverCertificate, wantsOpenssl } from './tls.mjs';

const defaultPort = 16_672;
const user = 'daybook';
const readinessLimitMs = 120_000;
const programs = '/usr/lib/rabbitmq/bin';
const portMapper = '/usr/bin/epmd';

export const rabbitmq = {
  name: 'RabbitMQ',

  wants: () => [{ present: () => existsSync(`${programs}/rabbitmq-server`) && existsSync(portMapper), packages: ['rabbitmq-server'] }, wantsOpenssl],

  prepare() {},

  async start(settings) {
    const folder = folderIn(settings);
    const started = readStarted(folder);
    const port = settings.rabbitmq.port ?? started?.port ?? defaultPort;
    const tls = settings.tls ?? started?.tls ?? false;
    if (started !== null && (started.port !== port || (started.tls ?? false) !== tls)) {
      say(`RabbitMQ: moving from port ${started.port} to ${port}, TLS ${tls ? 'on' : 'off'}`);
      await this.stop(settings);
    }
    const { server, epmd } = serversIn(folder);
    const ports = portsFrom(port);
    mkdirSync(folder, { recursive: true });
    writeStarted(folder, { port, tls });
    if (runningPid(epmd) === null) {
      await assertPortIsFree(ports.portMapper, 'RABBITMQ_PORT');
      startPortMapper(epmd, port); // a broker that still runs registers again by itself
    }
    if (runningPid(server) === null) {
      say(`RabbitMQ: starting on port ${port}`);
      for (const used of [ports.amqp, ports.distribution, ...(tls ? [ports.amqps] : [])]) await assertPortIsFree(used, 'RABBITMQ_PORT');
      startBroker(server, port, tls ? serverCertificate(settings) : null);
    }
    wake(epmd);
    wake(server);
    await waitForReadiness('RabbitMQ', [epmd, server], () => rabbitmqRoundTrip(urlOf(folder, port)), { limitMs: readinessLimitMs });
  },

  async stop(settings) {
    const folder = folderIn(settings);
    if (readStarted(folder) === null) return false;
    const { server, epmd } = serversIn(folder);
    await stopProcess(server);
    await stopProcess(epmd, { limitMs: 5_000 });
    forgetStarted(folder);
    return true;
  },

  environment(settings) {
    const folder = folderIn(settings);
    const started = readStarted(folder);
    const runs = started !== null && runningPid(serversIn(folder).server) !== null;
    if (!runs) return {};
    const url = urlOf(folder, started.port);
    if (!started.tls) return { DAYBOOK_RABBITMQ_URL: url };
    const tlsUrl = url.replace(/^amqp:(.*:)\d+$/, `amqps:$1${portsFrom(started.port).amqps}`);
    return { DAYBOOK_RABBITMQ_URL: tlsUrl, DAYBOOK_RABBITMQ_CA_FILE: serverCertificate(settings).file };
  },
};

/** The command and the environment by which Debian's tool `name` (rabbitmqctl, rabbitmq-diagnostics, …) reaches this broker. */
export function rabbitmqTool(settings, name) {
  const folder = folderIn(settings);
  return { command: join(programs, name), environment: toolEnvironment(folder, readStarted(folder)?.port ?? defaultPort) };
}

const folderIn = (settings) => join(settings.folder, 'rabbitmq');
const serversIn = (folder) => ({ server: serverProcess('rabbitmq', folder), epmd: serverProcess('epmd', folder) });
const portsFrom = (port) => ({ amqp: port, distribution: port + 1, portMapper: port + 2, amqps: port + 3 });
const urlOf = (folder, port) => `amqp://${user}:${secretIn(join(folder, 'password'))}@127.0.0.1:${port}`;

/** Started by a link in the data folder: its command line then shows whose it is, as every process of ours must. */
function startPortMapper(epmd, port) {
  const link = join(epmd.folder, 'epmd');
  if (!existsSync(link)) symlinkSync(portMapper, link);
  startProcess(epmd, [link, '-address', '127.0.0.1', '-port', String(portsFrom(port).portMapper)]);
}

function startBroker(server, port, certificate) {
  const { folder } = server;
  writeFileSync(join(folder, 'rabbitmq.conf'), configurationOf(folder, port, certificate), { mode: 0o600 });
  writeFileSync(join(folder, 'enabled_plugins'), '[].\n');
  const environment = {
    ...toolEnvironment(folder, port),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_LOGS: '-', // to stdout, that is, into the server's log
    RABBITMQ_DIST_PORT: String(portsFrom(port).distribution),
    // Otherwise a shell stays between us and the broker, and killing it leaves the broker running.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
  // The first flag means nothing to Erlang; it puts the folder into the command line.
  const flags = ['-daybook_folder', folder, '-start_epmd', 'false', '-kernel', 'inet_dist_use_interface', '{127,0,0,1}'];
  startProcess(server, [join(programs, 'rabbitmq-server'), ...flags], environment);
}

/** What server and tools share. The cookie, by which they trust each other, lies in HOME. */
function toolEnvironment(folder, port) {
  const foreign = Object.keys(process.env).filter((name) => name.startsWith('RABBITMQ_'));
  return {
    ...Object.fromEntries(foreign.map((name) => [name, undefined])), // meant for another broker, or for our settings
    HOME: folder,
    RABBITMQ_NODENAME: 'daybook-brokers@localhost',
    RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'), // never /etc/rabbitmq, which is another broker's
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(portsFrom(port).portMapper),
    RABBITMQ_CTL_ERL_ARGS: '-start_epmd false', // a tool would start a port mapper of its own where ours is away
  };
}

function configurationOf(folder, port, certificate) {
  const lines = {
    'listeners.tcp.1': `127.0.0.1:${port}`,
    // Read at the first start only, when the data is empty.
    default_user: user,
    default_pass: secretIn(join(folder, 'password')),
    // A quorum queue's log stays in memory up to its size (512 MB by default), so the watermark must leave room for it.
    'raft.wal_max_size_bytes': 67_108_864,
    'vm_memory_high_watermark.absolute': '1GB',
    // Below this the broker blocks every publisher; better that than a full disk.
    'disk_free_limit.absolute': '200MB',
    ...(certificate && {
      'listeners.ssl.1': `127.0.0.1:${portsFrom(port).amqps}`,
      'ssl_options.certfile': certificate.file,
      'ssl_options.keyfile': certificate.keyFile,
    }),
  };
  return `${Object.entries(lines).map(([name, value]) => `${name} = ${value}`).join('\n')}\n`;
}

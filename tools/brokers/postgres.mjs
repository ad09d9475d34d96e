// Debian's PostgreSQL in a data folder of its own, on loopback TCP only. It refuses to run as root, so root starts it
// as the user that the package has made for it.
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { BrokersError } from './brokers-error.mjs';
import { assertPortIsFree, runningPid, serverProcess, startProcess, stopProcess, waitForReadiness, wake } from './processes.mjs';
import { forgetStarted, readStarted, writeStarted } from './started-settings.mjs';
import { say } from './say.mjs';
import { secretIn } from './secret.mjs';
import { serverCertificate, wantsOpenssl } from './tls.mjs';
import { unprivileged } from './unprivileged.mjs';

const defaultPort = 15_432;
/** Role and database alike. The role owns its database and may create others; it is no superuser. */
const user = 'daybook';
const superuser = 'postgres';
const readinessLimitMs = 60_000;
const installations = '/usr/lib/postgresql';

export const postgres = {
  name: 'PostgreSQL',

  wants: () => [{ present: () => installedVersions().length > 0, packages: ['postgresql'] }, wantsOpenssl],

  prepare() {},

  async start(settings) {
    const folder = folderIn(settings);
    const started = readStarted(folder);
    const port = settings.postgres.port ?? started?.port ?? defaultPort;
    const tls = settings.tls ?? started?.tls ?? false;
    if (started !== null && (started.port !== port || (started.tls ?? false) !== tls)) {
      say(`PostgreSQL: moving from port ${started.port} to ${port}, TLS ${tls ? 'on' : 'off'}`);
      await this.stop(settings);
    }
    const server = serverIn(folder);
    if (runningPid(server) === null) {
      say(`PostgreSQL: starting on port ${port}`);
      await assertPortIsFree(port, 'POSTGRES_PORT');
      prepareFolder(folder);
      if (tls) prepareTls(folder, serverCertificate(settings));
      writeStarted(folder, { port, tls });
    }
    wake(server);
    const caFile = tls ? serverCertificate(settings).file : null;
    // The children of a killed server keep its data locked for a moment; a new server that meets them ends at once.
    const startAndTry = () => {
      if (runningPid(server) === null) startProcess(server, serverCommand(folder, port, tls));
      return roundTrip(folder, port, caFile);
    };
    await waitForReadiness('PostgreSQL', [server], startAndTry, { limitMs: readinessLimitMs, restartsMs: 10_000 });
  },

  async stop(settings) {
    const folder = folderIn(settings);
    if (readStarted(folder) === null) return false;
    // SIGINT ends the sessions; SIGTERM would wait for clients to leave.
    await stopProcess(serverIn(folder), { signal: 'SIGINT' });
    forgetStarted(folder);
    return true;
  },

  environment(settings) {
    const folder = folderIn(settings);
    const started = readStarted(folder);
    const runs = started !== null && runningPid(serverIn(folder)) !== null;
    return runs ? { DAYBOOK_POSTGRES_URL: urlOf(folder, started.port, user, user, started.tls ? serverCertificate(settings).file : null) } : {};
  },
};

const folderIn = (settings) => join(settings.folder, 'postgres');
const serverIn = (folder) => serverProcess('postgres', folder);
const dataIn = (folder) => join(folder, 'data');
const passwordOf = (folder, role) => secretIn(join(folder, `password-of-${role}`));
const urlOf = (folder, port, role, database, caFile) =>
  `postgres://${role}:${passwordOf(folder, role)}@127.0.0.1:${port}/${database}${caFile === null ? '' : `?sslmode=verify-full&sslrootcert=${encodeURIComponent(caFile)}`}`;

function installedVersions() {
  if (!existsSync(installations)) return [];
  return readdirSync(installations).filter((version) => existsSync(join(installations, version, 'bin', 'postgres'))).sort((a, b) => Number(b) - Number(a));
}

/** The programs of the version that wrote the data, or of the newest one where there is no data yet. */
function program(folder, name) {
  const versionFile = join(dataIn(folder), 'PG_VERSION');
  const version = existsSync(versionFile) ? readFileSync(versionFile, 'utf8').trim() : installedVersions()[0];
  if (!installedVersions().includes(version)) {
    throw new BrokersError(`${dataIn(folder)} was written by PostgreSQL ${version}, which is not installed; install postgresql-${version}, or remove the folder and with it its data.`);
  }
  return join(installations, version, 'bin', name);
}

function serverCommand(folder, port, tls) {
  const options = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '', // a socket's path may have 107 characters only; a checkout's may be longer
    max_connections: 200,
    shared_buffers: '64MB',
    max_wal_size: '512MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(tls && { ssl: 'on', ssl_cert_file: join(folder, 'server.crt'), ssl_key_file: join(folder, 'server.key'), hba_file: join(folder, 'pg_hba.conf') }),
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return [...unprivileged(folder, superuser), program(folder, 'postgres'), '-D', dataIn(folder), ...flags];
}

/** Makes the folder, its owner and the data; the data takes its final name when complete. */
function prepareFolder(folder) {
  if (existsSync(dataIn(folder))) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const passwordFile = join(folder, `password-of-${superuser}`);
  secretIn(passwordFile);
  for (const path of [folder, passwordFile]) giveToServer(path);
  const unfinished = join(folder, 'data.new');
  rmSync(unfinished, { recursive: true, force: true });
  const [command, ...args] = [
    ...unprivileged(folder, superuser), program(folder, 'initdb'), '-D', unfinished, '--username', superuser, '--pwfile', passwordFile,
    '--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C.UTF-8', '--no-instructions',
  ];
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', cwd: '/' });
  if (status !== 0) throw new BrokersError(`PostgreSQL's data folder could not be made:\n${error?.message ?? `${stdout}${stderr}`}`);
  renameSync(unfinished, dataIn(folder));
}

/** The server reads its key from a file of its own user's only. Whoever comes without TLS is refused. */
function prepareTls(folder, { key, cert }) {
  const files = { 'server.key': key, 'server.crt': cert, 'pg_hba.conf': 'hostssl all all 127.0.0.1/32 scram-sha-256\n' };
  for (const [name, content] of Object.entries(files)) {
    rmSync(join(folder, name), { force: true });
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    giveToServer(join(folder, name));
  }
}

function giveToServer(path) {
  if (process.getuid() !== 0) return;
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, superuser], { encoding: 'utf8' }).stdout));
  chownSync(path, uid, gid);
}

/** `select 1` over TCP as the role that Daybook will use; role and database are made where they are missing. */
async function roundTrip(folder, port, caFile) {
  await withClient(urlOf(folder, port, superuser, superuser, caFile), (client) => ensureRoleAndDatabase(client, passwordOf(folder, user)));
  await withClient(urlOf(folder, port, user, user, caFile), (client) => client.query('select 1'));
}

async function ensureRoleAndDatabase(client, password) {
  const { rows } = await client.query(
    'select exists (select from pg_roles where rolname = $1) as role, exists (select from pg_database where datname = $1) as database', [user],
  );
  // The names are constants above and the password is hex: nothing here needs escaping.
  if (!rows[0].role) await client.query(`create role ${user} login createdb password '${password}'`);
  if (!rows[0].database) await client.query(`create database ${user} owner ${user}`);
}

async function withClient(connectionString, action) {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 3_000, query_timeout: 4_000 });
  client.on('error', () => {}); // a lost connection reaches the pending call as its rejection
  try {
    await client.connect();
    return await action(client);
  } finally {
    await client.end().catch(() => {});
  }
}

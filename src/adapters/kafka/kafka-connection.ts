import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { ConnectionPool, type Broker, type ConnectionOptions } from '@platformatic/kafka';
import { DaybookError, messageOf } from '../../domain/errors.ts';

/** How to reach a Kafka cluster and log in to it. */
export interface KafkaConnection {
  /** Bootstrap servers, `host:port`, port 9092 when left out; one that answers is enough to find the others. */
  readonly brokers: readonly string[];
  /** How this process names itself to the brokers, default `daybook`. */
  readonly clientId?: string;
  /** Default `off`. */
  readonly tls?: 'off' | 'on';
  /** File of the certificate authority, PEM; default: the authorities that Node trusts. Only with TLS. */
  readonly caFile?: string;
  /** Default: no login. With one, `username` and `password` are needed. */
  readonly sasl?: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username?: string;
  readonly password?: string;
}

/** What every client of the library is given, besides its own options. */
export interface ClientOptions extends Pick<ConnectionOptions, 'tls' | 'tlsServerName' | 'sasl'> {
  readonly clientId: string;
  readonly bootstrapBrokers: Broker[];
}

/** @throws DaybookError `configuration-invalid`, naming the setting, the rule and the fix */
export function clientOptions(connection: KafkaConnection): ClientOptions {
  if (connection.brokers.length === 0) throw invalid('DAYBOOK_KAFKA_BROKERS', 'names no broker; give host:port, several separated by commas');
  return {
    clientId: connection.clientId ?? 'daybook',
    bootstrapBrokers: connection.brokers.map(brokerAddress),
    ...tlsOptions(connection),
    ...loginOptions(connection),
  };
}

function brokerAddress(text: string): Broker {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3] ?? 9_092);
  if (host === undefined || port < 1 || port > 65_535) throw invalid('DAYBOOK_KAFKA_BROKERS', `has '${text}', which is not host:port; an IPv6 address stands in brackets`);
  return { host, port };
}

function tlsOptions({ brokers, tls, caFile }: KafkaConnection): Pick<ClientOptions, 'tls' | 'tlsServerName'> {
  if (tls !== 'on' && caFile !== undefined) throw invalid('DAYBOOK_KAFKA_CA_FILE', 'is given, but DAYBOOK_KAFKA_TLS is not on; switch it on, or leave the file out');
  if (tls !== 'on') return {};
  // Said in the clear at the start of TLS: a proxy before several clusters tells them apart by it. An address cannot be said.
  const tlsServerName = brokers.every((broker) => isIP(brokerAddress(broker).host) === 0);
  if (caFile === undefined) return { tls: {}, tlsServerName };
  try {
    return { tls: { ca: readFileSync(caFile) }, tlsServerName };
  } catch (cause) {
    throw invalid('DAYBOOK_KAFKA_CA_FILE', `cannot be read: ${messageOf(cause)}`, cause);
  }
}

function loginOptions({ sasl, username, password }: KafkaConnection): Pick<ClientOptions, 'sasl'> {
  // Without this, a login that somebody meant to be there would silently not be.
  if (sasl === undefined && (username || password)) throw invalid('DAYBOOK_KAFKA_SASL', 'is missing, though a name or a password is given: plain, scram-sha-256 or scram-sha-512');
  if (sasl === undefined) return {};
  if (!username) throw invalid('DAYBOOK_KAFKA_USERNAME', `is missing; DAYBOOK_KAFKA_SASL=${sasl} needs a name`);
  if (!password) throw invalid('DAYBOOK_KAFKA_PASSWORD', `is missing; DAYBOOK_KAFKA_SASL=${sasl} needs a password`);
  const mechanisms = { plain: 'PLAIN', 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const;
  return { sasl: { mechanism: mechanisms[sasl], username, password } };
}

/** A pool whose connections never raise an error that nobody hears: requests carry their own errors. */
export function openPool(options: ClientOptions, limits: Pick<ConnectionOptions, 'connectTimeout' | 'requestTimeout' | 'maxInflights'>): ConnectionPool {
  const { clientId, tls, tlsServerName, sasl } = options;
  const pool = new ConnectionPool(clientId, { ...limits, ...(tls && { tls, tlsServerName: tlsServerName ?? false }), ...(sasl && { sasl }) });
  hearErrors(pool);
  return pool;
}

/** A connection emits `error` again after the pool has let go of it; without a listener that would end the process. */
export function hearErrors(pool: ConnectionPool): void {
  pool.on('connecting', ({ connection }) => connection.on('error', () => undefined));
}

/** Closes within a second, also when a broker no longer takes what was written to it. */
export function closePool(pool: ConnectionPool): Promise<void> {
  return closeClient({ connections: pool, close: () => pool.close() });
}

/** The same for a client of the library. */
export async function closeClient(client: { readonly connections: ConnectionPool; close(): Promise<void> }): Promise<void> {
  const connections = [...client.connections].map(([, connection]) => connection);
  // Its requests have failed or will: an error of closing says nothing more.
  const closed = client.close().catch(() => undefined);
  if (await settlesWithin(closed, 1_000)) return;
  for (const connection of connections) connection.socket?.destroy();
}

/** Whether the promise, which must not reject, settles within the time. */
export async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const settled = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return settled;
}

function invalid(setting: string, problem: string, cause?: unknown): DaybookError {
  return new DaybookError('configuration-invalid', `${setting} ${problem}`, { cause });
}

import { existsSync, readFileSync } from 'node:fs';

/** Where `make brokers` keeps data, pid files and what it started. */
export const brokersFolder = new URL('../../.brokers/', import.meta.url);

export type BrokerVariable = 'DAYBOOK_KAFKA_BROKERS' | 'DAYBOOK_RABBITMQ_URL' | 'DAYBOOK_POSTGRES_URL';

/**
 * The server to test on: the one that the environment names, else the one that `make brokers` started.
 * @throws when there is neither: a test that skips its subject proves nothing
 */
export function brokerOf(variable: BrokerVariable): string {
  const found = process.env[variable] ?? startedBroker(variable);
  if (!found) throw new Error(`These tests need a server: run \`make brokers\`, or name one in ${variable}`);
  return found;
}

/** What `make brokers` started; undefined when it runs nothing of that kind. */
export function startedBroker(variable: BrokerVariable): string | undefined {
  const file = new URL('env', brokersFolder);
  return existsSync(file) ? new RegExp(`^${variable}=(.+)$`, 'm').exec(readFileSync(file, 'utf8'))?.[1] : undefined;
}

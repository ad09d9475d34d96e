// What `make brokers` can be told, all by environment or by `make brokers NAME=value`. An empty value counts as unset.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BrokersError } from './brokers-error.mjs';

export const projectFolder = fileURLToPath(new URL('../..', import.meta.url));
export const toolsFolder = fileURLToPath(new URL('.', import.meta.url));

const brokerNames = ['kafka', 'rabbitmq', 'postgres'];

/**
 * Reads and checks every setting at once; throws one BrokersError that lists all that is wrong.
 * A port or node count that is not given is null: a running broker then keeps what it has, another takes its default.
 */
export function readSettings(environment) {
  const problems = [];
  const given = (name) => environment[name]?.trim() || null;
  const wholeNumber = (name, least, most) => {
    const text = given(name);
    if (text === null) return null;
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    problems.push(`${name} is "${text}"; give a whole number from ${least} to ${most}.`);
    return null;
  };
  const only = given('ONLY')?.split(',').map((name) => name.trim()).filter(Boolean) ?? brokerNames;
  for (const name of only) {
    if (!brokerNames.includes(name)) problems.push(`ONLY names "${name}"; it takes a comma-separated choice of ${brokerNames.join(', ')}.`);
  }
  const tls = given('TLS');
  if (![null, 'on', 'off'].includes(tls)) problems.push(`TLS is "${tls}"; give on or off.`);
  const settings = {
    /** Where everything that runs keeps its data, logs and pid files. */
    folder: resolve(given('BROKERS_DIR') ?? join(projectFolder, '.brokers')),
    /** Null: as it was at the last start. */
    tls: tls === null ? null : tls === 'on',
    only: brokerNames.filter((name) => only.includes(name)),
    // The ports above the given one are used too (see README.md), hence the lower limit.
    kafka: { port: wholeNumber('KAFKA_PORT', 1024, 65_000), nodes: wholeNumber('KAFKA_NODES', 1, 3), heapMb: wholeNumber('KAFKA_HEAP_MB', 192, 16_384) ?? 384 },
    rabbitmq: { port: wholeNumber('RABBITMQ_PORT', 1024, 65_000) },
    postgres: { port: wholeNumber('POSTGRES_PORT', 1024, 65_000) },
  };
  if (settings.kafka.nodes === 2) problems.push('KAFKA_NODES is 2; give 1 or 3: two nodes are no safer than one, a majority of two is two.');
  if (/\s/.test(settings.folder)) problems.push(`The data folder "${settings.folder}" has a space in its path, which RabbitMQ's scripts cannot take; set BROKERS_DIR to another.`);
  if (problems.length > 0) throw new BrokersError(problems.join('\n'));
  return settings;
}

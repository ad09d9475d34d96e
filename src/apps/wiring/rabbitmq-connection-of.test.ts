import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { loadConfig } from '../config.ts';
import { rabbitmqConnectionOf } from './rabbitmq-connection-of.ts';

const connectionOf = (DAYBOOK_RABBITMQ_URL: string, file?: string) =>
  rabbitmqConnectionOf(loadConfig({ DAYBOOK_RABBITMQ_URL, ...(file === undefined ? {} : { DAYBOOK_RABBITMQ_CA_FILE: file }) }));

it('trusts the authority in the named file, and those of Node without one', () => {
  const file = `${temporaryFolder()}/ca.pem`;
  writeFileSync(file, 'an authority');
  expect(connectionOf('amqps://host', file)).toEqual({ url: 'amqps://host', topic: 'task-lifecycle', ca: Buffer.from('an authority') });
  expect(connectionOf('amqps://host')).not.toHaveProperty('ca');
});

it('refuses a file that cannot be read, and one that would not be used, naming the setting', () => {
  expect(() => connectionOf('amqps://host', '/nowhere')).toThrow(/^DAYBOOK_RABBITMQ_CA_FILE cannot be read: ENOENT/);
  expect(() => connectionOf('amqp://host', '/nowhere')).toThrow(/^DAYBOOK_RABBITMQ_CA_FILE is given, but DAYBOOK_RABBITMQ_URL is not amqps:\/\//);
});

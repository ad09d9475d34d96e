import { describe, expect, it } from 'vitest';
import { clientOptions, type KafkaConnection } from './kafka-connection.ts';

describe('the options of a connection', () => {
  it.each([
    ['localhost:9093', { host: 'localhost', port: 9_093 }],
    ['kafka-1.example', { host: 'kafka-1.example', port: 9_092 }],
    ['[::1]:19092', { host: '::1', port: 19_092 }],
  ])('take the broker %s', (text, address) => {
    expect(clientOptions({ brokers: [text] }).bootstrapBrokers).toEqual([address]);
  });

  it('log in with a name and a password', () => {
    const sasl = { mechanism: 'SCRAM-SHA-512', username: 'ann', password: 'secret' };
    expect(clientOptions({ brokers: ['k'], sasl: 'scram-sha-512', username: 'ann', password: 'secret' })).toMatchObject({ sasl });
    expect(clientOptions({ brokers: ['k'] })).not.toHaveProperty('sasl');
  });

  it('speak TLS when told to, trusting the authorities of Node', () => {
    expect(clientOptions({ brokers: ['k'], tls: 'on' })).toMatchObject({ tls: {}, tlsServerName: true });
    expect(clientOptions({ brokers: ['10.0.0.1:9093'], tls: 'on' })).toMatchObject({ tls: {}, tlsServerName: false });
    expect(clientOptions({ brokers: ['k'], tls: 'off' })).not.toHaveProperty('tls');
  });

  it.each<[string, KafkaConnection, RegExp]>([
    ['no broker', { brokers: [] }, /^DAYBOOK_KAFKA_BROKERS names no broker; give host:port/],
    ['a broker without a port number', { brokers: ['k:x'] }, /^DAYBOOK_KAFKA_BROKERS has 'k:x', which is not host:port/],
    ['a port beyond all ports', { brokers: ['k:70000'] }, /^DAYBOOK_KAFKA_BROKERS has 'k:70000'/],
    ['a file that is not there', { brokers: ['k'], tls: 'on', caFile: '/nowhere' }, /^DAYBOOK_KAFKA_CA_FILE cannot be read: ENOENT/],
    ['a file without TLS', { brokers: ['k'], caFile: 'ca.pem' }, /^DAYBOOK_KAFKA_CA_FILE is given, but DAYBOOK_KAFKA_TLS is not on/],
    ['a password without a way to log in', { brokers: ['k'], password: 'p' }, /^DAYBOOK_KAFKA_SASL is missing/],
    ['a login without a name', { brokers: ['k'], sasl: 'plain', password: 'p' }, /^DAYBOOK_KAFKA_USERNAME is missing; DAYBOOK_KAFKA_SASL=plain needs a name/],
    ['a login without a password', { brokers: ['k'], sasl: 'plain', username: 'n' }, /^DAYBOOK_KAFKA_PASSWORD is missing/],
  ])('are refused with the setting to mend: %s', (_, connection, message) => {
    expect(() => clientOptions(connection)).toThrow(message);
  });
});

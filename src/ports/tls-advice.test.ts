import { expect, it } from 'vitest';
import { tlsAdvice } from './tls-advice.ts';

const settings = { address: 'ADDRESS', authority: 'AUTHORITY', tls: 'TLS' };
const failure = (code: string, message = '') => Object.assign(new Error(message), { code });

it.each([
  ['an unknown authority', failure('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /trusted here: look at AUTHORITY$/],
  ['another host', failure('ERR_TLS_CERT_ALTNAME_INVALID'), /look at the host in ADDRESS$/],
  ['a certificate out of its time', failure('CERT_HAS_EXPIRED'), /renew it, or look at the clocks$/],
  ['a server without TLS', failure('ERR_SSL_WRONG_VERSION_NUMBER'), /look at TLS, and at the port in ADDRESS$/],
  ['a cause inside of other errors', new Error('outer', { cause: new AggregateError([new Error('first'), failure('CERT_UNTRUSTED')]) }), /look at AUTHORITY$/],
])('names the setting for %s', (_name, error, advice) => {
  expect(tlsAdvice(error, settings)).toMatch(advice);
});

it('has none for what is no matter of TLS', () => {
  for (const error of [failure('ECONNREFUSED', 'connect ECONNREFUSED'), new Error('odd'), 'a text', null]) expect(tlsAdvice(error, settings)).toBeNull();
});

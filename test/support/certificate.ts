import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** Where it stands, in PEM. */
  readonly file: string;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/**
 * A certificate of its own authority, for one day.
 * @param names what it stands for, as OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1`
 */
export function makeCertificate(folder: string, ...names: string[]): Certificate {
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const subject = ['-subj', '/CN=daybook tests', '-addext', `subjectAltName=${names.join(',')}`];
  execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', file, ...subject], { stdio: 'ignore' });
  return { file, key: readFileSync(key), cert: readFileSync(file) };
}

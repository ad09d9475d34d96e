import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** Where it stands, in PEM. */
  readonly file: string;
  readonly keyFile: string;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/**
 * A certificate of its own authority, for ten years, and for nobody but whoever is given its file to trust.
 * @param names what it stands for, as OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1`
 */
export function makeCertificate(folder: string, ...names: string[]): Certificate {
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650'];
  const subject = ['-subj', '/CN=daybook brokers', '-addext', `subjectAltName=${names.join(',')}`];
  execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', file, ...subject], { stdio: 'ignore' });
  return read(key, file);
}

/** The one in the folder, made up on the first call. */
export function certificateIn(folder: string, ...names: string[]): Certificate {
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  if (existsSync(key) && existsSync(file)) return read(key, file);
  mkdirSync(folder, { recursive: true });
  return makeCertificate(folder, ...names);
}

function read(keyFile: string, file: string): Certificate {
  return { file, keyFile, key: readFileSync(keyFile), cert: readFileSync(file) };
}

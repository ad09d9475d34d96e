// With TLS=on each server speaks TLS too, and the variables printed go that way, with a login. One certificate for all
// three, for 127.0.0.1 and no other name; the file of it is the authority to trust.
import { join } from 'node:path';
import { certificateIn } from './certificate.ts';
import { isOnPath } from './packages.mjs';

export const serverCertificate = (settings) => certificateIn(join(settings.folder, 'tls'), 'IP:127.0.0.1');

export const wantsOpenssl = { present: () => isOnPath('openssl'), packages: ['openssl'] };

import { createHash, timingSafeEqual } from 'node:crypto';

/** Who may call: a name, and the SHA-256 of the key that proves it. The key itself is nowhere. */
export interface ApiKey {
  readonly name: string;
  /** No `Buffer`: the type is reached from the public entries, whose users may have no types of Node's. */
  readonly sha256: Uint8Array;
}

/**
 * Reads a key file: one `name:sha256` a line, blank lines and lines starting with `#` apart.
 * A key is hashed as it is: `printf %s "$KEY" | sha256sum`.
 * @returns the keys, and what is wrong, by line number and never by content
 */
export function parseApiKeys(text: string): { readonly keys: readonly ApiKey[]; readonly errors: readonly string[] } {
  const keys: ApiKey[] = [];
  const errors: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = /^([A-Za-z0-9][A-Za-z0-9._@-]{0,127}):([0-9a-fA-F]{64})\s*$/.exec(line);
    if (!match?.[1] || !match[2]) errors.push(`line ${index + 1} must be name:sha256, the hash as 64 hex digits`);
    else keys.push({ name: match[1], sha256: Buffer.from(match[2], 'hex') });
  }
  if (keys.length === 0 && errors.length === 0) errors.push('holds no key, so nobody could call');
  return { keys, errors };
}

/** The name that the presented key proves, or null. Every key is compared, in constant time. */
export function callerOf(keys: readonly ApiKey[], presented: string | null): string | null {
  if (presented === null) return null;
  const digest = createHash('sha256').update(presented).digest();
  let caller: string | null = null;
  for (const { name, sha256 } of keys) {
    if (timingSafeEqual(digest, sha256)) caller ??= name;
  }
  return caller;
}

/** The key of a request: `Authorization: Bearer <key>`, or else `X-Api-Key: <key>`. */
export function presentedKey(headers: Readonly<Record<string, string | string[] | undefined>>): string | null {
  const { authorization } = headers;
  if (typeof authorization === 'string') return /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? null;
  const key = headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? key : null;
}

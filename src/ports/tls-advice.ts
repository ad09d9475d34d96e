/** The settings that decide about TLS to a server, as their messages name them. */
export interface TlsSettings {
  /** Where the server is. */
  readonly address: string;
  /** Which authority is trusted. */
  readonly authority: string;
  /** Whether TLS is spoken. */
  readonly tls: string;
}

const authorityCodes = new Set([
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
const timeCodes = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
const notTlsCodes = new Set(['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_WRONG_VERSION_NUMBER']);
const cutInHandshake = 'Client network socket disconnected before secure TLS connection was established';

/**
 * Which setting to look at when a connection failed for the sake of TLS: health details and log lines carry it, since
 * OpenSSL's words name no setting. Null when something else failed. Looks into causes, too.
 */
export function tlsAdvice(error: unknown, { address, authority, tls }: TlsSettings): string | null {
  for (const { code, message } of causesOf(error)) {
    if (authorityCodes.has(code)) return `the server's certificate is not from an authority that is trusted here: look at ${authority}`;
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the server's certificate is for another host: look at the host in ${address}`;
    if (timeCodes.has(code)) return "the server's certificate is not valid at this time: renew it, or look at the clocks";
    if (notTlsCodes.has(code) || message === cutInHandshake) return `the server does not speak TLS there: look at ${tls}, and at the port in ${address}`;
  }
  return null;
}

/** The error and what caused it, in that order; several causes where several addresses were tried. */
export function causesOf(error: unknown): ReadonlyArray<{ readonly code: string; readonly message: string }> {
  if (!(error instanceof Error)) return [];
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const causes = error instanceof AggregateError ? error.errors : [error.cause];
  return [{ code, message: error.message }, ...causes.flatMap(causesOf)];
}

/** Where a process answers. */
export interface Listening {
  readonly port: number;
  readonly url: string;
}

export function listeningAt(host: string, port: number): Listening {
  return { port, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}` };
}

/** The address is taken or not ours. The message names host and port. */
export class CannotListen extends Error {
  override readonly name = 'CannotListen';
  readonly code = 'cannot-listen';
}

/** Says in words why an address cannot be listened on. */
export function cannotListen(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'EADDRINUSE') {
    return new CannotListen(`port ${port} on ${host} is taken by another process; stop it, or choose another port with DAYBOOK_PORT`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new CannotListen(`port ${port} on ${host} cannot be listened on (${code}); check DAYBOOK_HOST and DAYBOOK_PORT`, { cause: error });
  }
  return error;
}

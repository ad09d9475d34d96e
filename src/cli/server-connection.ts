import { readFileSync } from 'node:fs';
import { createClient, type Client } from '../client/create-client.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import type { Environment } from './terminal.ts';

/** Flags that every command which asks a server understands. */
export interface ConnectionFlags {
  readonly url?: string;
  readonly diaryUrl?: string;
  readonly apiKeyFile?: string;
}

export interface ServerAddress {
  readonly url: string;
  readonly diaryUrl: string;
}

/** Where the servers are: flags, else `DAYBOOK_URL` and `DAYBOOK_DIARY_URL`, else the all-in-one on this machine. */
export function serverAddress(flags: ConnectionFlags, environment: Environment): ServerAddress {
  const url = flags.url ?? (environment['DAYBOOK_URL'] || 'http://127.0.0.1:3000');
  const diaryUrl = flags.diaryUrl ?? (environment['DAYBOOK_DIARY_URL'] || url);
  checkUrl(flags.url === undefined ? 'DAYBOOK_URL' : '--url', url);
  checkUrl(flags.diaryUrl === undefined ? 'DAYBOOK_DIARY_URL' : '--diary-url', diaryUrl);
  return { url, diaryUrl };
}

/** @param retries how often a call is made again by itself; a script decides better than a hidden loop, so mostly 0 */
export function connect(flags: ConnectionFlags, environment: Environment, retries = 0): Client {
  const apiKey = readApiKey(flags, environment);
  return createClient({ ...serverAddress(flags, environment), retries, ...(apiKey === undefined ? {} : { apiKey }) });
}

/** From a file or the environment, never from a flag: flags can be read in the list of processes. */
function readApiKey(flags: ConnectionFlags, environment: Environment): string | undefined {
  const file = flags.apiKeyFile ?? environment['DAYBOOK_API_KEY_FILE'];
  if (!file) return environment['DAYBOOK_API_KEY'] || undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CommandError(exitCodes.configuration, `the API key cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function checkUrl(name: string, value: string): void {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return;
  throw new CommandError(exitCodes.configuration, `${name}: ${JSON.stringify(value)} must be an http or https URL`, {
    next: `use one such as http://127.0.0.1:3000`,
  });
}

import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { SettingOverrides } from './setting-flags.ts';
import type { Terminal } from './terminal.ts';

export interface ExportLogOptions {
  /** Null: all. */
  readonly partition: number | null;
  /** The first to export in each partition. */
  readonly offset: number;
  /** Null: up to the end as of now. */
  readonly limit: number | null;
  readonly overrides: SettingOverrides;
}

/** Prints the records of the log as NDJSON. Reads beside a running writer and takes no lock. */
export async function exportLog(terminal: Terminal, { overrides, ...range }: ExportLogOptions): Promise<ExitCode> {
  const { loadConfig } = await import('../apps/config.ts');
  const { readLog } = await import('../apps/read-log.ts');
  let count = 0;
  for await (const record of readLog(loadConfig(terminal.surroundings.environment, { overrides }), range)) {
    await terminal.out(JSON.stringify(record));
    count += 1;
  }
  if (!terminal.json) terminal.note(`${count} records`);
  return exitCodes.ok;
}

import type { ExitCode } from './exit-codes.ts';
import type { ConnectionFlags } from './server-connection.ts';
import type { Terminal } from './terminal.ts';

/** Flags that every command understands, before and after its name. */
export interface GlobalFlags extends ConnectionFlags {
  readonly json?: true;
  readonly color: boolean;
}

/** Wraps what a command does: gives it the terminal and its flags, and keeps its exit code. */
export type Act = (
  body: (context: { readonly terminal: Terminal; readonly flags: GlobalFlags }) => Promise<ExitCode>,
) => Promise<void>;

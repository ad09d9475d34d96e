import { CommandError, exitCodes } from './exit-codes.ts';

/** Commands that are planned and known by name, so that a script learns the difference from a misspelt one. */
export const plannedCommands: Readonly<Record<string, readonly string[]>> = {
  tail: [],
  bulk: ['submit'],
  stuck: [],
  'in-doubt': [],
  failures: [],
  workers: [],
  top: [],
  queue: ['pause', 'resume'],
  type: ['pause', 'resume'],
  audit: [],
  seal: ['keygen'],
  backup: [],
  bench: [],
};

export function notBuiltYet(what: string): CommandError {
  return new CommandError(exitCodes.usage, `${what} is not built yet`, { next: 'daybook --help' });
}

import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import type { Act, GlobalFlags } from './act.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { addOperatorCommands } from './operator-program.ts';
import { reportError } from './report-error.ts';
import { settingFlags } from './setting-flags.ts';
import { addTaskCommands } from './task-program.ts';
import { Terminal, type Surroundings } from './terminal.ts';

const introduction = `daybook: a task system that keeps its history

  daybook demo                                     see it work on real files, in a minute
  daybook start                                    run everything in this process, data in .daybook
  daybook task submit file.checksum '{"path":"README.md"}' --wait
  daybook task list --q state:failed
  daybook task get ID                              one task with its history
`;

const epilogue = `
Environment: DAYBOOK_URL (default http://127.0.0.1:3000), DAYBOOK_DIARY_URL, DAYBOOK_API_KEY, NO_COLOR;
the settings of a server: daybook config.
Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 not authenticated, 5 conflict, 6 unavailable (safe to retry),
7 timed out, 8 the awaited task failed, 9 audit FAIL, 10 audit INCONCLUSIVE, 78 wrong configuration.`;

/**
 * Runs one command and resolves with its exit code. Prints data to stdout and everything else to stderr; never throws
 * and never ends the process.
 */
export async function runCommandLine(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  const program = newProgram(surroundings);
  const act: Act = async (body) => {
    const flags = program.opts<GlobalFlags>();
    const terminal = new Terminal(surroundings, { json: flags.json === true, color: flags.color });
    exitCode = await body({ terminal, flags });
  };
  addOperatorCommands(program, act, await settingFlags(args));
  addTaskCommands(program, async (body) => {
    const { refuseUnknownVariables } = await import('../apps/config.ts');
    return act((context) => {
      refuseUnknownVariables(surroundings.environment);
      return body(context);
    });
  });
  nameHelpAfterErrors(program, 'daybook');
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOfParser(error);
    const { json, color } = program.opts<GlobalFlags>();
    return reportError(error, new Terminal(surroundings, { json: json === true, color }));
  }
}

function newProgram({ stdout, stderr, environment }: Surroundings): Command {
  const colours = !environment['NO_COLOR'];
  return new Command('daybook')
    .usage('COMMAND [options]')
    .addHelpText('before', introduction)
    .addHelpText('after', epilogue)
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand(false)
    .option('--json', 'print JSON, as the HTTP interface has it')
    .option('--no-color', 'no colours; they are used on a terminal only, and not with NO_COLOR')
    .option('--url <url>', 'the api, or the all-in-one process')
    .option('--diary-url <url>', 'the diary, where it is a process of its own')
    .addOption(new Option('--api-key-file <file>', 'file that holds the API key'))
    .helpOption('-h, --help', 'show help')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? 100,
      getErrHelpWidth: () => stderr.columns ?? 100,
      getOutHasColors: () => stdout.isTTY === true && colours,
      getErrHasColors: () => stderr.isTTY === true && colours,
    })
    .exitOverride();
}

function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** A usage error ends with the help to read: that of the command it belongs to. */
function nameHelpAfterErrors(command: Command, path: string): void {
  command.showHelpAfterError(`next: ${path} --help`);
  for (const child of command.commands) nameHelpAfterErrors(child, `${path} ${child.name()}`);
}

/** The parser has printed its message already; asking for help or for the version is no error. */
function exitCodeOfParser(error: CommanderError): ExitCode {
  return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}

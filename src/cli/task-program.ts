import { Option, type Command } from 'commander';
import type { SubmitOptions } from '../client/create-client.ts';
import type { Act } from './act.ts';
import { notBuiltYet } from './not-built-yet.ts';
import { duration, tag, wholeNumber } from './option-values.ts';
import { listProjections, rebuildProjection } from './projection-commands.ts';
import { connect } from './server-connection.ts';
import { getTask, listTasks, readPayload, requestChange, showEvents, submitTask, waitForTask } from './task-commands.ts';

/** Tries of a submission beyond the first; each sends the same Idempotency-Key. */
const submitRetries = 3;

/** Commands that ask a running server: thin HTTP calls. */
export function addTaskCommands(program: Command, act: Act): void {
  const task = program.command('task').description('submit tasks and look at them').helpGroup('Tasks:').usage('COMMAND [options]').helpCommand(false);
  addSubmit(task, act);
  addQuestions(task, act);
  addRequests(task, act);
  addProjectionCommands(program, act);
}

interface SubmitCommandFlags extends Omit<SubmitOptions, 'version' | 'retry'> {
  readonly wait?: true;
  readonly timeout: number;
  readonly typeVersion?: number;
  readonly maxAttempts?: number;
  readonly tag?: Readonly<Record<string, string>>;
}

function addSubmit(task: Command, act: Act): void {
  task
    .command('submit')
    .argument('<type>', 'such as file.checksum')
    .argument('[payload]', 'JSON, - for stdin, or @FILE; default {}')
    .description('submit a task; prints its id and the receipt')
    .option('--wait', 'follow it to its end')
    .addOption(timeoutOption('how long to follow it', '5m'))
    .option('--idempotency-key <key>', 'the same key and content give the same task; default: one is made')
    .option('--type-version <number>', 'default: the highest registered', wholeNumber)
    .option('--queue <name>')
    .option('--priority <number>', '0 to 9, 9 goes first', wholeNumber)
    .option('--not-before <time>', 'an instant (RFC 3339) or a delay such as 10s')
    .option('--expires-at <time>', 'an instant or a delay: a task not started by then fails')
    .option('--max-attempts <number>', 'the first attempt included', wholeNumber)
    .option('--batch <name>')
    .option('--parent <id>')
    .option('--tag <name=value>', 'may be repeated', tag)
    .action((type: string, argument: string | undefined, given: SubmitCommandFlags) =>
      act(async ({ terminal, flags }) => {
        const { wait, timeout, typeVersion, maxAttempts, tag: tags, ...others } = given;
        const payload = await readPayload(argument, terminal);
        return submitTask(terminal, connect(flags, terminal.surroundings.environment, submitRetries), type, payload, {
          ...others,
          wait: wait === true,
          timeoutMs: timeout,
          ...(typeVersion === undefined ? {} : { version: typeVersion }),
          ...(maxAttempts === undefined ? {} : { retry: { maxAttempts } }),
          ...(tags === undefined ? {} : { tags }),
        });
      }),
    );
}

function addQuestions(task: Command, act: Act): void {
  task
    .command('get')
    .argument('<id>')
    .description('a task and its history')
    .action((id: string) => act(({ terminal, flags }) => getTask(terminal, connect(flags, terminal.surroundings.environment), id)));
  task
    .command('list')
    .description('tasks, newest first')
    .option('--q <filter>', 'such as "state:failed type:webhook.* since:1h attempts:>2"')
    .option('--limit <number>', 'how many', wholeNumber, 20)
    .option('--cursor <cursor>', 'continue behind a former page')
    .action((given: { q?: string; limit: number; cursor?: string }) =>
      act(({ terminal, flags }) => listTasks(terminal, connect(flags, terminal.surroundings.environment), given)),
    );
  task
    .command('events')
    .argument('<id>')
    .description('the records of a task, in the order of the log')
    .action((id: string) => act(({ terminal, flags }) => showEvents(terminal, connect(flags, terminal.surroundings.environment), id)));
  task
    .command('wait')
    .argument('<id>')
    .description('wait for the end of a task; exit code 8 when it did not complete, 7 when the time is over')
    .addOption(timeoutOption('how long to wait', '5m'))
    .action((id: string, { timeout }: { timeout: number }) =>
      act(({ terminal, flags }) => waitForTask(terminal, connect(flags, terminal.surroundings.environment), id, timeout)),
    );
}

function addRequests(task: Command, act: Act): void {
  for (const change of ['cancel', 'retry'] as const) {
    task
      .command(change)
      .argument('<id>')
      .description(change === 'cancel' ? 'ask for its end; a running attempt is aborted' : 'ask for more attempts of a failed task')
      .requiredOption('--reason <text>', 'stands in the history, 1 to 500 characters')
      .action((id: string, { reason }: { reason: string }) =>
        act(({ terminal, flags }) => requestChange(terminal, connect(flags, terminal.surroundings.environment), change, id, reason)),
      );
  }
}

function addProjectionCommands(program: Command, act: Act): void {
  const projection = program
    .command('projection')
    .description('the read models: list them, rebuild them from the log')
    .helpGroup('Tasks:')
    .usage('COMMAND [options]')
    .helpCommand(false);
  projection
    .command('list')
    .description('how far each has read, its digest and its last rebuild')
    .action(() => act(({ terminal, flags }) => listProjections(terminal, connect(flags, terminal.surroundings.environment))));
  projection
    .command('rebuild')
    .argument('[name]', 'may be left out where there is only one')
    .description('rebuild it beside the live one and compare both; exit code 1 when they differ')
    .option('--no-wait', 'return once it has begun')
    .addOption(timeoutOption('how long to wait', '10m'))
    .action((name: string | undefined, { wait, timeout }: { wait: boolean; timeout: number }) =>
      act(({ terminal, flags }) =>
        rebuildProjection(terminal, connect(flags, terminal.surroundings.environment), name, { wait, timeoutMs: timeout }),
      ),
    );
  projection
    .command('verify')
    .argument('[name]')
    .description('not built yet: rebuild compares, too')
    .action(() => {
      throw notBuiltYet('daybook projection verify');
    });
}

function timeoutOption(meaning: string, otherwise: string): Option {
  return new Option('--timeout <duration>', `${meaning}, such as 30s`).argParser(duration).default(duration(otherwise), otherwise);
}

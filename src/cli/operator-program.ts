import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import { doctor } from './doctor.ts';
import { exportLog } from './export-log.ts';
import { notBuiltYet, plannedCommands } from './not-built-yet.ts';
import { wholeNumber } from './option-values.ts';
import { serverAddress } from './server-connection.ts';
import type { SettingFlag, SettingOverrides } from './setting-flags.ts';
import { showConfig } from './show-config.ts';
import { startRoles } from './start-roles.ts';
import { checkTopic, createTopic } from './topic-commands.ts';

const roles = ['api', 'dispatcher', 'worker', 'diary'] as const;

/** Commands of those who run Daybook. They work in this process, and load the server's code when they are called. */
export function addOperatorCommands(program: Command, act: Act, settingFlags: readonly SettingFlag[]): void {
  const withSettings = (command: Command) => addSettingFlags(command, settingFlags);
  withSettings(
    program
      .command('start')
      .argument('[role]', `${roles.join(', ')}; default: all of them in this process`)
      .description('run Daybook; prints one JSON line when it is ready')
      .helpGroup('Run:'),
  ).action((role: string | undefined, overrides: SettingOverrides) =>
    act(({ terminal }) => startRoles(terminal, role, overrides)),
  );
  addDemo(program, act);
  withSettings(program.command('doctor').description('check Node, configuration, data folder, task modules, port and servers').helpGroup('Run:')).action(
    (overrides: SettingOverrides) =>
      act(({ terminal, flags }) => {
        const { environment } = terminal.surroundings;
        const expected = Boolean(flags.url ?? flags.diaryUrl ?? environment['DAYBOOK_URL'] ?? environment['DAYBOOK_DIARY_URL']);
        return doctor(terminal, { address: serverAddress(flags, environment), serverExpected: expected, overrides });
      }),
  );
  withSettings(program.command('config').description('every setting with its value, secrets masked').helpGroup('Run:')).action(
    (overrides: SettingOverrides) => act(({ terminal }) => showConfig(terminal, overrides)),
  );
  addTopic(program, act, withSettings);
  addLog(program, act, settingFlags);
  addPlannedCommands(program);
}

function addDemo(program: Command, act: Act): void {
  program
    .command('demo')
    .argument('[folder]', "whose files are fingerprinted; default: Daybook's own sources")
    .description('the whole system on real files, every result checked; under a minute')
    .helpGroup('Run:')
    .option('--data-dir <folder>', 'where its data goes: an empty folder; default: a temporary one')
    .option('--keep', 'go on serving when it is over, until Ctrl-C')
    .addOption(new Option('--brokers', 'on Kafka, RabbitMQ and PostgreSQL: those of DAYBOOK_*, else of make brokers').conflicts('dataDir'))
    .addOption(new Option('--chaos', 'not built yet: with faults').hideHelp())
    .action((folder: string | undefined, given: { dataDir?: string; keep?: true; brokers?: true; chaos?: true }) =>
      act(async ({ terminal }) => {
        if (given.chaos) throw notBuiltYet('the demo with faults (--chaos)');
        const { placeOnBrokers, placeOnFiles } = await import('./demo/demo-place.ts');
        const place = given.brokers ? await placeOnBrokers(terminal.surroundings.environment) : await placeOnFiles(given.dataDir);
        const { runDemo } = await import('./demo/demo.ts');
        return runDemo(terminal, { place, keep: given.keep === true, ...(folder === undefined ? {} : { folder }) });
      }),
    );
}

function addTopic(program: Command, act: Act, withSettings: (command: Command) => Command): void {
  const topic = program.command('topic').description('the Kafka topic that is the log').helpGroup('Run:').usage('COMMAND [options]').helpCommand(false);
  withSettings(topic.command('create').description('create it as a log needs it, where it is missing; safe to repeat')).action((overrides: SettingOverrides) =>
    act(({ terminal }) => createTopic(terminal, overrides)),
  );
  withSettings(topic.command('check').description('each setting, what it must be, and the command that mends it')).action((overrides: SettingOverrides) =>
    act(({ terminal }) => checkTopic(terminal, overrides)),
  );
}

function addLog(program: Command, act: Act, settingFlags: readonly SettingFlag[]): void {
  const log = program.command('log').description('the log itself, without a server').helpGroup('Run:').usage('COMMAND [options]').helpCommand(false);
  addSettingFlags(
    log
      .command('export')
      .description('every record as a line of JSON, in the form of GET /v1/log; works beside a running writer')
      .option('--partition <number>', 'default: all', wholeNumber)
      .option('--offset <number>', 'the first record of each partition', wholeNumber, 0)
      .option('--limit <number>', 'at most so many records; default: up to the end as of now', wholeNumber),
    settingFlags,
  ).action((given: SettingOverrides & { partition?: number; offset: number; limit?: number }) =>
    act(({ terminal }) => {
      const { partition = null, offset, limit = null, ...overrides } = given;
      return exportLog(terminal, { partition, offset, limit, overrides });
    }),
  );
}

/** Known by name, so that they say what they are instead of being unknown. */
function addPlannedCommands(program: Command): void {
  for (const [name, subcommands] of Object.entries(plannedCommands)) {
    program
      .command(name, { hidden: true })
      .argument('[words...]')
      .allowUnknownOption()
      .action((words: readonly string[]) => {
        const [first] = words;
        throw notBuiltYet(`daybook ${[name, ...(first !== undefined && subcommands.includes(first) ? [first] : [])].join(' ')}`);
      });
  }
  program.addHelpText('after', `\nNot built yet: ${Object.keys(plannedCommands).join(', ')}, projection verify.`);
}

function addSettingFlags(command: Command, flags: readonly SettingFlag[]): Command {
  for (const { flag, meaning, common, takesValue } of flags) {
    const option = new Option(takesValue ? `--${flag} <value>` : `--${flag}`, meaning);
    command.addOption(common ? option : option.hideHelp());
  }
  return command.addHelpText('after', '\nEvery setting has a flag of its name: DAYBOOK_LEASE_MS is --lease-ms. daybook config lists them.');
}

import { readFileSync } from 'node:fs';
import { DaybookError } from '../domain/errors.ts';
import { nearNames } from '../domain/near-names.ts';
import { parseApiKeys, type ApiKey } from './http/api-keys.ts';
import { settings, type SettingName, type SettingValues } from './settings.ts';

export type Role = 'api' | 'dispatcher' | 'worker' | 'diary';
export const roles: readonly Role[] = ['api', 'dispatcher', 'worker', 'diary'];

/** Every setting, parsed; names as in `settings.ts`, units last. */
export interface Config extends Omit<SettingValues, 'port' | 'workerPrefetch'> {
  /** 0: any free one. */
  readonly port: number;
  readonly workerPrefetch: number;
  /** Who may call. Null: nobody is asked for a key. */
  readonly apiKeys: readonly ApiKey[] | null;
}

/** Settings as flags or as options of the library call give them: text as in the environment, or values. */
export type ConfigOverrides = { readonly [Name in SettingName]?: SettingValues[Name] | string | undefined };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that is wrong with the configuration, at once. */
export class ConfigurationError extends DaybookError {
  /** One sentence each: the variable, the rule, the fix. Never a value that may be secret. */
  readonly errors: readonly string[];

  constructor(errors: readonly string[]) {
    super('configuration-invalid', `the configuration is wrong:\n${errors.map((error) => `  - ${error}`).join('\n')}`);
    this.name = 'ConfigurationError';
    this.errors = errors;
  }
}

export interface LoadOptions {
  /** What is started: decides the default port, and which servers a role on its own needs. Default `all`. */
  readonly role?: Role | 'all';
  /** Flags, or options of the library call. They win over the environment. */
  readonly overrides?: ConfigOverrides;
}

const ports: Readonly<Record<Role | 'all', number>> = { all: 3000, api: 3000, diary: 3001, dispatcher: 3002, worker: 3003 };

/**
 * Reads the configuration, once, before anything starts.
 * @throws ConfigurationError with every wrong or missing value and every unknown `DAYBOOK_` name
 */
export function loadConfig(env: Environment = process.env, { role = 'all', overrides = {} }: LoadOptions = {}): Config {
  const errors: string[] = [...unknownNames(env, overrides)];
  const { values, given } = readSettings(env, overrides, errors);
  const apiKeys = values.apiKeysFile === null ? null : readApiKeys(values.apiKeysFile, errors);
  errors.push(...brokenRules(values, given, role));
  if (errors.length > 0) throw new ConfigurationError(errors);
  return {
    ...values,
    port: values.port ?? ports[role],
    workerPrefetch: values.workerPrefetch ?? 4 * values.workerConcurrency,
    apiKeys,
  };
}

/**
 * For programs that read a few variables themselves, such as the command line's client.
 * @throws ConfigurationError naming every `DAYBOOK_` name that is no setting: a mistyped one would be ignored
 */
export function refuseUnknownVariables(env: Environment): void {
  const errors = unknownNames(env, {});
  if (errors.length > 0) throw new ConfigurationError(errors);
}

/** A line of what `daybook config` prints. */
export interface SettingLine {
  readonly variable: string;
  readonly value: string;
  readonly default: string;
  readonly unit: string;
  readonly meaning: string;
}

/** Every setting with its value in `config`; secrets are masked. */
export function settingsTable(config: Config): readonly SettingLine[] {
  return settingNames().map((name) => {
    const { meaning, unit, shownDefault, isSecret } = settings[name];
    const value: unknown = config[name];
    const shown = value === null ? '' : Array.isArray(value) ? value.join(',') : String(value);
    return { variable: variableOf(name), value: isSecret && shown !== '' ? '********' : shown, default: shownDefault, unit, meaning };
  });
}

/** `workerConcurrency` is `DAYBOOK_WORKER_CONCURRENCY`. */
export function variableOf(name: SettingName): string {
  return `DAYBOOK_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function settingNames(): readonly SettingName[] {
  return Object.keys(settings) as SettingName[];
}

function knownVariables(): readonly string[] {
  return settingNames().flatMap((name) => (settings[name].isSecret ? [variableOf(name), `${variableOf(name)}_FILE`] : [variableOf(name)]));
}

function unknownNames(env: Environment, overrides: ConfigOverrides): readonly string[] {
  const known = knownVariables();
  const unknown = (name: string, candidates: readonly string[]) => {
    const near = candidates.includes(name.replace(/_FILE$/, '')) ? [name.replace(/_FILE$/, '')] : nearNames(name, candidates);
    return `${name} is no setting${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : "; 'daybook config' lists them"}`;
  };
  return [
    ...Object.keys(env).filter((name) => name.startsWith('DAYBOOK_') && !known.includes(name)).map((name) => unknown(name, known)),
    ...Object.keys(overrides).filter((name) => !Object.hasOwn(settings, name)).map((name) => unknown(name, settingNames())),
  ];
}

/** Reads each setting by itself; a wrong one gives an error and its default, so that all are judged in one go. */
function readSettings(env: Environment, overrides: ConfigOverrides, errors: string[]): { values: SettingValues; given: ReadonlySet<SettingName> } {
  const values: Record<string, unknown> = {};
  const given = new Set<SettingName>();
  for (const name of settingNames()) {
    const setting = settings[name];
    values[name] = setting.default;
    const raw = overrides[name] === undefined ? fromEnvironment(name, env, errors) : overrides[name];
    if (raw === undefined || raw === null) continue;
    given.add(name);
    const read = setting.read(raw);
    if (setting.instead !== null) errors.push(`${variableOf(name)}: not built yet: unset ${variableOf(name)} to ${setting.instead}`);
    else if ('rule' in read) errors.push(`${variableOf(name)} ${read.rule}`);
    else values[name] = read.value;
  }
  return { values: values as unknown as SettingValues, given };
}

/** The variable's text; of a secret, the content of the file that `<variable>_FILE` names. */
function fromEnvironment(name: SettingName, env: Environment, errors: string[]): string | undefined {
  const variable = variableOf(name);
  const text = env[variable];
  const file = settings[name].isSecret ? env[`${variable}_FILE`] : undefined;
  if (file === undefined) return text;
  if (text !== undefined) {
    errors.push(`${variable} and ${variable}_FILE are both set; unset one`);
    return undefined;
  }
  return readText(`${variable}_FILE`, file, errors)?.replace(/\r?\n$/, '');
}

function readApiKeys(file: string, errors: string[]): readonly ApiKey[] {
  const text = readText('DAYBOOK_API_KEYS_FILE', file, errors);
  if (text === undefined) return [];
  const parsed = parseApiKeys(text);
  errors.push(...parsed.errors.map((error) => `DAYBOOK_API_KEYS_FILE ${error}`));
  return parsed.keys;
}

function readText(variable: string, file: string, errors: string[]): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    errors.push(`${variable} names a file that cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}): ${file}`);
    return undefined;
  }
}

/** Rules that join several settings. */
function brokenRules(values: SettingValues, given: ReadonlySet<SettingName>, role: Role | 'all'): readonly string[] {
  const errors: string[] = [];
  const answersCalls = role === 'all' || role === 'api' || role === 'diary';
  if (answersCalls && values.apiKeysFile === null && !values.insecure && !isLoopback(values.host)) {
    errors.push(`DAYBOOK_HOST ${values.host} can be reached from other machines: set DAYBOOK_API_KEYS_FILE, or DAYBOOK_INSECURE=1 to let everybody call`);
  }
  if (values.payloadLimitBytes > values.bodyLimitBytes) errors.push('DAYBOOK_PAYLOAD_LIMIT_BYTES must be at most DAYBOOK_BODY_LIMIT_BYTES');
  if (values.workerPrefetch !== null && values.workerPrefetch < values.workerConcurrency) {
    errors.push('DAYBOOK_WORKER_PREFETCH must be at least DAYBOOK_WORKER_CONCURRENCY, or slots stay empty');
  }
  errors.push(...missingServers(role, given));
  if (role === 'worker' && values.tasks.length === 0) errors.push('DAYBOOK_TASKS is missing: a worker needs the modules that hold its handlers');
  return errors;
}

/** A role in a process of its own shares the log, and the two that execute share the queue, with the others. */
function missingServers(role: Role | 'all', given: ReadonlySet<SettingName>): readonly string[] {
  if (role === 'all') return [];
  const needed: readonly SettingName[] = role === 'api' || role === 'diary' ? ['kafkaBrokers'] : ['kafkaBrokers', 'rabbitmqUrl'];
  return needed
    .filter((name) => !given.has(name))
    .map((name) => `${variableOf(name)} is missing: the ${role} role on its own shares it with the other roles; 'daybook start' runs all of them without servers`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

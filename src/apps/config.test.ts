import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { ConfigurationError, loadConfig, settingsTable, variableOf, type Environment, type LoadOptions } from './config.ts';
import { settings, type SettingName } from './settings.ts';

function errorsOf(env: Environment, options?: LoadOptions): readonly string[] {
  try {
    loadConfig(env, options);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.errors;
    throw error;
  }
}

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(loadConfig({})).toMatchObject({ host: '127.0.0.1', port: 3000, dataDir: '.daybook', topic: 'task-lifecycle', workerConcurrency: 16, workerPrefetch: 64, dispatchWindow: 1000, leaseMs: 10_000, apiKeys: null, tasks: [] });
  });

  it('ignores the variables of others', () => {
    expect(errorsOf({ PATH: '/bin', DAYBOOKS: '1' })).toEqual([]);
  });

  it('reads variables, and lets flags and options win', () => {
    const env = { DAYBOOK_PORT: '0', DAYBOOK_WORKER_CONCURRENCY: '8', DAYBOOK_TASKS: './a.ts, pkg', DAYBOOK_INSECURE: '1', DAYBOOK_HOST: '0.0.0.0' };
    expect(loadConfig(env)).toMatchObject({ port: 0, workerConcurrency: 8, workerPrefetch: 32, tasks: ['./a.ts', 'pkg'], insecure: true, host: '0.0.0.0' });
    expect(loadConfig(env, { overrides: { port: '4000', workerConcurrency: 2, host: undefined } })).toMatchObject({ port: 4000, workerPrefetch: 8, host: '0.0.0.0' });
  });

  it.each([
    ['DAYBOOK_PORT', 'http', 'DAYBOOK_PORT must be a whole number from 0 to 65535'],
    ['DAYBOOK_PORT', '65536', 'DAYBOOK_PORT must be a whole number from 0 to 65535'],
    ['DAYBOOK_PORT', '', 'DAYBOOK_PORT must be a whole number from 0 to 65535'],
    ['DAYBOOK_WORKER_CONCURRENCY', '0', 'DAYBOOK_WORKER_CONCURRENCY must be a whole number from 1 to 10000'],
    ['DAYBOOK_WORKER_CONCURRENCY', '1.5', 'DAYBOOK_WORKER_CONCURRENCY must be a whole number from 1 to 10000'],
    ['DAYBOOK_WORKER_PREFETCH', '2', 'DAYBOOK_WORKER_PREFETCH must be at least DAYBOOK_WORKER_CONCURRENCY, or slots stay empty'],
    ['DAYBOOK_LEASE_MS', '10s', 'DAYBOOK_LEASE_MS must be a whole number from 300 to 3600000'],
    ['DAYBOOK_LOG_LEVEL', 'loud', 'DAYBOOK_LOG_LEVEL must be one of debug, info, warn, error, silent'],
    ['DAYBOOK_INSECURE', 'yes', 'DAYBOOK_INSECURE must be 1 or 0'],
    ['DAYBOOK_TOPIC', 'a b', 'DAYBOOK_TOPIC must be 1 to 200 letters, digits, . _ or -'],
    ['DAYBOOK_DATA_DIR', ' ', 'DAYBOOK_DATA_DIR must be a text that is not empty; unset it to use the default'],
    ['DAYBOOK_TASKS', './a.ts,', 'DAYBOOK_TASKS must be a comma-separated list without empty places; unset it for none'],
    ['DAYBOOK_URL', 'localhost:3000', 'DAYBOOK_URL must be a URL starting with http:// or https://'],
    ['DAYBOOK_PAYLOAD_LIMIT_BYTES', '1', 'DAYBOOK_PAYLOAD_LIMIT_BYTES must be a whole number from 64 to 786432'],
    ['DAYBOOK_BODY_LIMIT_BYTES', '2000', 'DAYBOOK_PAYLOAD_LIMIT_BYTES must be at most DAYBOOK_BODY_LIMIT_BYTES'],
    ['DAYBOOK_API_KEYS_FILE', '/nowhere', 'DAYBOOK_API_KEYS_FILE names a file that cannot be read (ENOENT): /nowhere'],
    ['DAYBOOK_HOST', '0.0.0.0', 'DAYBOOK_HOST 0.0.0.0 can be reached from other machines: set DAYBOOK_API_KEYS_FILE, or DAYBOOK_INSECURE=1 to let everybody call'],
    ['DAYBOOK_WORKER_CONCURENCY', '1', 'DAYBOOK_WORKER_CONCURENCY is no setting; did you mean DAYBOOK_WORKER_CONCURRENCY?'],
    ['DAYBOOK_QQQQQQ', '1', "DAYBOOK_QQQQQQ is no setting; 'daybook config' lists them"],
    ['DAYBOOK_SEALS_DIR', '/seals', 'DAYBOOK_SEALS_DIR: not built yet: unset DAYBOOK_SEALS_DIR to go without seals'],
  ])('%s=%s is refused', (variable, value, error) => {
    expect(errorsOf({ [variable]: value })).toEqual([error]);
  });

  it('tells everything that is wrong at once', () => {
    const errors = errorsOf({ DAYBOOK_PORT: 'x', DAYBOOK_HOST: '::', DAYBOOK_LEASE: '1', DAYBOOK_SEALS_DIR: '/seals', DAYBOOK_KAFKA_PASSWORD_FILE: '/nowhere' });
    expect(errors.map((error) => /^\w+/.exec(error)?.[0])).toEqual(['DAYBOOK_LEASE', 'DAYBOOK_PORT', 'DAYBOOK_KAFKA_PASSWORD_FILE', 'DAYBOOK_SEALS_DIR', 'DAYBOOK_HOST']);
    expect(() => loadConfig({ DAYBOOK_PORT: 'x', DAYBOOK_HOST: '::' })).toThrow(/the configuration is wrong:\n {2}- DAYBOOK_PORT .*\n {2}- DAYBOOK_HOST /);
  });

  it('refuses options that are no settings', () => {
    expect(errorsOf({}, { overrides: { workerConcurency: 3 } as never })).toEqual(['workerConcurency is no setting; did you mean workerConcurrency?']);
  });

  it.each(['127.0.0.1', '127.8.9.10', 'localhost', '::1'])('listens on %s without keys', (host) => {
    expect(errorsOf({ DAYBOOK_HOST: host })).toEqual([]);
  });
});

describe('a role on its own', () => {
  it.each([
    ['api', 3000],
    ['diary', 3001],
    ['dispatcher', 3002],
    ['worker', 3003],
    ['all', 3000],
  ] as const)('%s has port %d', (role, port) => {
    expect(settings.port.shownDefault).toContain(String(port));
    if (role === 'all') expect(loadConfig({}, { role }).port).toBe(port);
  });

  it('needs the servers that it shares with the others', () => {
    const missing = (role: LoadOptions['role'] & string) => errorsOf({}, { role }).map((error) => /^\w+/.exec(error)?.[0]);
    expect(missing('api')).toEqual(['DAYBOOK_KAFKA_BROKERS']);
    expect(missing('diary')).toEqual(['DAYBOOK_KAFKA_BROKERS']);
    expect(missing('dispatcher')).toEqual(['DAYBOOK_KAFKA_BROKERS', 'DAYBOOK_RABBITMQ_URL']);
    expect(missing('worker')).toEqual(['DAYBOOK_KAFKA_BROKERS', 'DAYBOOK_RABBITMQ_URL', 'DAYBOOK_TASKS']);
  });
});

describe('secrets', () => {
  it('may come from a file, whose last line end is no part of them', () => {
    const file = join(temporaryFolder(), 'key');
    writeFileSync(file, 'from-the-file\n');
    expect(loadConfig({ DAYBOOK_API_KEY_FILE: file }).apiKey).toBe('from-the-file');
    expect(errorsOf({ DAYBOOK_API_KEY_FILE: file, DAYBOOK_API_KEY: 'x' })).toEqual(['DAYBOOK_API_KEY and DAYBOOK_API_KEY_FILE are both set; unset one']);
    expect(errorsOf({ DAYBOOK_PORT_FILE: file })).toEqual(['DAYBOOK_PORT_FILE is no setting; did you mean DAYBOOK_PORT?']);
  });

  it('are masked where settings are shown, and never stand in an error', () => {
    const table = settingsTable(loadConfig({ DAYBOOK_API_KEY: 'hidden' }));
    expect(table.find(({ variable }) => variable === 'DAYBOOK_API_KEY')?.value).toBe('********');
    expect(JSON.stringify(table)).not.toContain('hidden');
    expect(errorsOf({ DAYBOOK_POSTGRES_URL: 'nonsense-hidden', DAYBOOK_RABBITMQ_URL: 'hidden' }).join()).not.toContain('hidden');
  });

  it('reads who may call', () => {
    const file = join(temporaryFolder(), 'keys');
    writeFileSync(file, `shop:${createHash('sha256').update('k').digest('hex')}\n`);
    expect(loadConfig({ DAYBOOK_API_KEYS_FILE: file, DAYBOOK_HOST: '0.0.0.0' }).apiKeys).toMatchObject([{ name: 'shop' }]);
    writeFileSync(file, 'shop:plain-hidden\n');
    expect(errorsOf({ DAYBOOK_API_KEYS_FILE: file })).toEqual(['DAYBOOK_API_KEYS_FILE line 1 must be name:sha256, the hash as 64 hex digits']);
  });
});

it('shows every setting with a meaning, and a unit in the name of what is measured', () => {
  for (const { variable, meaning, unit } of settingsTable(loadConfig({}))) {
    expect(meaning, variable).not.toBe('');
    if (unit === 'ms') expect(variable).toMatch(/_MS$/);
    if (unit === 'bytes') expect(variable).toMatch(/_BYTES$/);
  }
  expect((Object.keys(settings) as SettingName[]).map(variableOf)).toContain('DAYBOOK_TOPIC_PARTITIONS');
});

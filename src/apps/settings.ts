export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** One setting: what it means, its default, and how its value is read. */
export interface Setting<Value> {
  readonly meaning: string;
  readonly unit: string;
  readonly default: Value;
  /** The default in words. */
  readonly shownDefault: string;
  /** Masked when shown; may come from `<variable>_FILE`. */
  readonly isSecret: boolean;
  /** What happens instead while the setting's part is not built: setting it is an error that says so. */
  readonly instead: string | null;
  /** @param given text from the environment, or a value from a caller */
  readonly read: (given: unknown) => { readonly value: Value } | { readonly rule: string };
}

const plain = { unit: '', isSecret: false, instead: null } as const;

/**
 * Every setting of Daybook: variable `DAYBOOK_` + the name in capitals, option of `startDaybook` under this name.
 * `daybook config` prints this table.
 */
export const settings = {
  host: text('Address to listen on. Other machines can reach it only with keys, see API_KEYS_FILE', '127.0.0.1'),
  port: optional(whole('Port to listen on; 0 takes any free one', 'port', { least: 0, most: 65_535 }), 'api and all roles 3000, diary 3001, dispatcher 3002, worker 3003'),
  dataDir: text('Folder of the embedded log, queue, read models and snapshots', '.daybook'),
  tasks: list('Modules whose default export lists handlers and definitions: paths from the working directory, or packages'),
  apiKeysFile: optional(text('File of name:sha256 lines; set: every call under /v1 needs a key'), 'nobody is asked for a key'),
  insecure: flag('Listen without keys where other machines can call'),
  drainSeconds: whole('How long a stopping process lets running work finish', 's', { default: 15, least: 0, most: 3_600 }),
  logLevel: choice('Which log lines are written', logLevels, 'info'),
  topic: pattern('Name of the log; outside names derive from it', 'task-lifecycle', /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, 'must be 1 to 200 letters, digits, . _ or -'),

  bodyLimitBytes: whole('Longest HTTP body; a longer one is 413', 'bytes', { default: 1_048_576, least: 1_024, most: 67_108_864 }),
  payloadLimitBytes: whole('Longest payload as JSON; a longer one is 413', 'bytes', { default: 262_144, least: 64, most: 786_432 }),
  resultLimitBytes: whole("Longest result as JSON; a longer one fails the task with 'result-too-large'", 'bytes', { default: 262_144, least: 64, most: 786_432 }),
  depthLimit: whole('Levels of objects and lists in a payload or result', 'levels', { default: 32, least: 1, most: 256 }),
  recentKeys: whole('Idempotency keys whose receipts the api remembers, about 1 KB each; 0 remembers none', 'keys', { default: 100_000, least: 0, most: 10_000_000 }),
  rejectionsPerSecond: whole('Rejections recorded for each client; 0 records none', 'per second', { default: 10, least: 0, most: 10_000 }),
  appendDeadlineMs: whole('How long the log may take to confirm a record before the answer is 503', 'ms', { default: 4_000, least: 10, most: 600_000 }),

  dispatchWindow: whole('Dispatched attempts without an outcome, for each queue; the rest waits in the log', 'attempts', { default: 1_000, least: 1, most: 1_000_000 }),
  sweepMs: whole('How often the dispatcher looks for what was missed', 'ms', { default: 5_000, least: 10, most: 3_600_000 }),
  snapshotMs: whole('How long after its last snapshot a partition with new events gets the next one', 'ms', { default: 60_000, least: 100, most: 86_400_000 }),
  snapshotEvents: whole('And after how many events at the latest', 'events', { default: 100_000, least: 1, most: 1_000_000_000 }),
  workerConcurrency: whole('Handlers that run at once', 'handlers', { default: 16, least: 1, most: 10_000 }),
  workerPrefetch: optional(whole('Jobs that a worker holds: a job is held until its outcome is recorded', 'jobs', { least: 1, most: 100_000 }), '4 × DAYBOOK_WORKER_CONCURRENCY'),
  leaseMs: whole('How long a claim holds without being renewed; renewed at a third', 'ms', { default: 10_000, least: 300, most: 3_600_000 }),
  presenceMs: whole('A worker silent for that long is gone; heartbeat every third', 'ms', { default: 15_000, least: 300, most: 3_600_000 }),
  sessionMs: whole('A dispatcher that is silent for that long loses its partitions to the others', 'ms', { default: 10_000, least: 300, most: 3_600_000 }),

  kafkaBrokers: optional(list('Kafka bootstrap servers, host:port; set: the log is Kafka'), 'the embedded log'),
  kafkaTls: choice('TLS to Kafka', ['off', 'on'], 'off'),
  kafkaCaFile: optional(text('Certificate authority of the Kafka brokers, PEM'), "Node's own"),
  kafkaSasl: optional(choice('How to log in to Kafka', ['plain', 'scram-sha-256', 'scram-sha-512']), 'no login'),
  kafkaUsername: optional(text('Name to log in to Kafka with'), ''),
  kafkaPassword: secret(optional(text('Password to log in to Kafka with'), '')),
  topicPartitions: whole('Partitions of a new Kafka topic, fixed at its birth; the embedded log has one', 'partitions', { default: 12, least: 1, most: 1_000 }),
  topicReplication: optional(whole('Replicas of a new Kafka topic', 'replicas', { least: 1, most: 100 }), 'min(3, brokers)'),
  rabbitmqUrl: secret(optional(url('RabbitMQ, amqp:// or amqps://; set: the queue is RabbitMQ', ['amqp:', 'amqps:']), 'the embedded queue')),
  rabbitmqCaFile: optional(text('Certificate authority of RabbitMQ, PEM; only with amqps://'), "Node's own"),
  consumerTimeoutMs: whole("RabbitMQ's own consumer_timeout: tasks that may run nearly as long are refused at start", 'ms', { default: 1_800_000, least: 300_000, most: 604_800_000 }),
  postgresUrl: secret(optional(url('PostgreSQL, with sslmode and sslrootcert for TLS; set: read models are there', ['postgres:', 'postgresql:']), 'SQLite')),
  claimsUrl: secret(optional(url("PostgreSQL for claims; 'none' turns claims off", ['postgres:', 'postgresql:'], 'none'), 'as DAYBOOK_POSTGRES_URL')),
  schema: optional(pattern('PostgreSQL schema of the read models', null, /^[a-z_][a-z0-9_]{0,62}$/, 'must be 1 to 63 lower-case letters, digits or _'), 'daybook'),
  sealKeyFile: notBuilt(optional(text('Key that seals are signed with'), 'seals are not signed'), 'go without seals'),
  sealsDir: notBuilt(optional(text('Folder that seals are written to'), 'no seals'), 'go without seals'),
  sealMs: whole('How often the diary seals each partition. Seals are not built yet', 'ms', { default: 60_000, least: 1_000, most: 86_400_000 }),

  url: url('Where the command line finds the api', ['http:', 'https:'], null, 'http://127.0.0.1:3000'),
  diaryUrl: optional(url('Where the command line finds the diary', ['http:', 'https:']), 'as DAYBOOK_URL'),
  apiKey: secret(optional(text('Key that the command line presents'), 'none')),
};

export type SettingName = keyof typeof settings;
export type SettingValues = { readonly [Name in SettingName]: (typeof settings)[Name] extends Setting<infer Value> ? Value : never };

function text(meaning: string, value = ''): Setting<string> {
  return {
    ...plain,
    meaning,
    default: value,
    shownDefault: value,
    read: (given) => (typeof given === 'string' && given.trim() !== '' ? { value: given } : { rule: 'must be a text that is not empty; unset it to use the default' }),
  };
}

function pattern(meaning: string, value: string | null, allowed: RegExp, rule: string): Setting<string> {
  return {
    ...text(meaning, value ?? ''),
    read: (given) => (typeof given === 'string' && allowed.test(given) ? { value: given } : { rule }),
  };
}

interface Range {
  readonly default?: number;
  readonly least: number;
  readonly most: number;
}

function whole(meaning: string, unit: string, { default: value = 0, least, most }: Range): Setting<number> {
  return {
    ...plain,
    meaning,
    unit,
    default: value,
    shownDefault: String(value),
    read: (given) => {
      const number = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given;
      const fits = typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most;
      return fits ? { value: number } : { rule: `must be a whole number from ${least} to ${most}` };
    },
  };
}

function flag(meaning: string): Setting<boolean> {
  return {
    ...plain,
    meaning,
    default: false,
    shownDefault: '0',
    read: (given) => {
      if (given === true || given === '1' || given === 'true') return { value: true };
      return given === false || given === '0' || given === 'false' ? { value: false } : { rule: 'must be 1 or 0' };
    },
  };
}

function choice<const Choice extends string>(meaning: string, choices: readonly Choice[], value?: Choice): Setting<Choice> {
  return {
    ...plain,
    meaning: `${meaning}: ${choices.join(', ')}`,
    default: value ?? choices[0]!,
    shownDefault: value ?? '',
    read: (given) => {
      const chosen = choices.find((candidate) => candidate === given);
      return chosen === undefined ? { rule: `must be one of ${choices.join(', ')}` } : { value: chosen };
    },
  };
}

function list(meaning: string): Setting<readonly string[]> {
  return {
    ...plain,
    meaning,
    unit: 'comma-separated',
    default: [],
    shownDefault: '',
    read: (given) => {
      const parts: readonly unknown[] = typeof given === 'string' ? given.split(',').map((part) => part.trim()) : Array.isArray(given) ? given : [''];
      return parts.every((part): part is string => typeof part === 'string' && part !== '') ? { value: parts } : { rule: 'must be a comma-separated list without empty places; unset it for none' };
    },
  };
}

function url(meaning: string, protocols: readonly string[], word: string | null = null, value = ''): Setting<string> {
  return {
    ...text(meaning, value),
    read: (given) => {
      if (typeof given !== 'string') return { rule: 'must be a URL' };
      const isSound = (word !== null && given === word) || (URL.canParse(given) && protocols.includes(new URL(given).protocol));
      return isSound ? { value: given } : { rule: `must be a URL starting with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}${word === null ? '' : `, or '${word}'`}` };
    },
  };
}

/** Absent is null, and `shownDefault` says what that means. */
function optional<Value>(setting: Setting<Value>, shownDefault: string): Setting<Value | null> {
  return { ...setting, default: null, shownDefault };
}

function secret<Value>(setting: Setting<Value>): Setting<Value> {
  return { ...setting, isSecret: true };
}

function notBuilt<Value>(setting: Setting<Value>, instead: string): Setting<Value> {
  return { ...setting, instead, meaning: `${setting.meaning}. Not built yet` };
}

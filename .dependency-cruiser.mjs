// Who may import whom. The `allowed` list is the table: what it does not name is an error.
// test/architecture/boundaries.test.ts plants violations and expects each to be caught.

const folder = (name) => `^src/${name}/`;
const ports = (...names) => `^src/ports/(${names.join('|')})\\.ts$`;
const npm = (...names) => `(^|/)node_modules/(${names.join('|')})/`;
const nest = npm('@nestjs');
const builtin = { dependencyTypes: ['core'] };
const typesOnly = ['type-only', 'type-import'];

/** Any of the five modules, and the files in it that speak to NestJS. */
const modules = '^src/(task-api|event-producer|dispatch|worker|diary)/';
const edges = `${modules}.*\\.(module|controller)\\.ts$`;
/** Ports that carry no authority: every module may use them. */
const plainPorts = ports('service', 'tokens', 'logger', 'log-record');

/** One line of the table: what files matching `from` may import. */
const allow = (from, ...targets) =>
  targets.map((to) => ({ from: { path: from }, to: typeof to === 'string' ? { path: to } : to }));

const allowed = [
  ...allow(folder('domain'), folder('domain')),
  ...allow(folder('ports'), folder('ports'), folder('domain')),
  ...allow(folder('task-definition'), folder('task-definition'), folder('domain'), ports('logger', 'log-record')),

  ...allow(modules, folder('domain'), plainPorts),
  ...allow(edges, nest),
  ...allow(
    folder('event-producer'),
    folder('event-producer'),
    ports('event-appender', 'clock', 'ids'),
    { ...builtin, path: '^(node:)?crypto$' },
  ),
  ...allow(
    folder('task-api'),
    folder('task-api'), folder('task-definition'), folder('event-producer'),
    ports('control-log', 'clock', 'ids'),
  ),
  ...allow('^src/task-api/task-(request|response)\\.ts$', npm('zod')),
  ...allow('^src/task-api/schedules\\.ts$', npm('croner')),
  ...allow(
    folder('dispatch'),
    folder('dispatch'), folder('event-producer'),
    ports(
      'event-reader', 'job-sender', 'queue-inspection', 'snapshot-store', 'partition-ownership',
      'presence-reader', 'presence-writer', 'control-sender', 'control-log', 'clock',
    ),
  ),
  ...allow(
    folder('worker'),
    folder('worker'), folder('task-definition'), folder('event-producer'),
    ports('job-receiver', 'execution-claims', 'presence-writer', 'control-receiver', 'clock', 'ids'),
  ),
  ...allow(
    folder('diary'),
    folder('diary'),
    ports('event-reader', 'projection-store', 'projection-reader', 'presence-reader', 'control-log', 'clock'),
  ),
  ...allow(
    folder('audit'),
    folder('audit'), plainPorts,
    ports('event-reader', 'seal-store', 'clock'),
    { path: folder('domain'), dependencyTypes: typesOnly },
  ),

  { from: { path: '^src/adapters/([^/]+)/' }, to: { path: '^src/adapters/$1/' } },
  ...allow('^src/adapters/', folder('domain'), folder('ports'), builtin),
  ...allow(folder('adapters/kafka'), npm('@platformatic/kafka')),
  ...allow(folder('adapters/rabbitmq'), npm('amqplib', '@types/amqplib')),
  ...allow(folder('adapters/postgres'), npm('pg', '@types/pg')),

  ...allow(
    '^src/client(/|\\.ts$)',
    folder('client'),
    { path: '^src/(domain|task-definition)/', dependencyTypes: typesOnly },
  ),
  ...allow(
    folder('cli'),
    folder('cli'), folder('client'), npm('commander'), builtin,
    { path: '^src/(apps|audit)/', dynamic: true },
  ),
  ...allow(
    '^src/index\\.ts$',
    folder('task-definition'),
    '^src/domain/errors\\.ts$',
    { path: '^src/apps/start-daybook\\.ts$', dynamic: true },
    { path: '^src/apps/start-daybook\\.ts$', dependencyTypes: typesOnly },
  ),
  ...allow('^src/testing\\.ts$', '^src/', nest, builtin),
  ...allow(
    folder('apps'),
    '^src/', nest, builtin,
    npm('zod', 'pino', 'prom-client', 'reflect-metadata', 'rxjs', '@fastify'),
    { path: npm('fastify'), dependencyTypes: typesOnly },
  ),

  // Tests beside their file may import anything; rule not-to-tests keeps everyone else out of them.
  ...allow('\\.(test|contract)\\.ts$', {}),
];

/** Closes the back door through apps/wiring: not even by way of other files. */
const unreachable = (app, comment, path) => ({
  name: `${app}-cannot-reach`,
  comment,
  severity: 'error',
  from: { path: `^src/apps/${app}(-process)?\\.ts$` },
  to: { path, reachable: true },
});

const forbidden = [
  { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
  { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  {
    name: 'not-to-tests',
    comment: 'Tests, examples, benchmarks and tools may import src; nothing imports them.',
    severity: 'error',
    from: { path: '^src/', pathNot: '\\.(test|contract)\\.ts$' },
    to: { path: '\\.(test|contract)\\.ts$|^(test|examples|bench|tools)/' },
  },
  {
    name: 'sqlite-only-in-embedded',
    severity: 'error',
    from: { path: '^src/', pathNot: '^src/adapters/embedded/|\\.test\\.ts$' },
    to: { path: '^node:sqlite$' },
  },
  unreachable(
    'api',
    'The API neither touches the queue nor a projection nor runs a handler.',
    '^src/(worker|dispatch|diary)/|^src/adapters/rabbitmq/|^src/adapters/.*(job-|projection)[^/]*\\.ts$',
  ),
  unreachable(
    'dispatcher',
    'The dispatcher neither executes nor writes a view.',
    '^examples/|^src/(worker|diary)/|^src/adapters/.*(projection|execution-claims)[^/]*\\.ts$',
  ),
  unreachable(
    'worker',
    'The worker neither reads history nor decides nor sees a view.',
    '^src/(dispatch|diary)/|^src/adapters/.*(event-reader|event-log|log-reader|log-file|projection)[^/]*\\.ts$',
  ),
  unreachable(
    'diary',
    'The diary neither produces events nor enqueues.',
    '^src/(event-producer|dispatch|worker)/|^src/adapters/rabbitmq/|^src/adapters/.*(event-appender|event-log|job-)[^/]*\\.ts$',
  ),
];

export default {
  allowed,
  allowedSeverity: 'error',
  forbidden,
  options: {
    doNotFollow: { path: ['node_modules', '^(test|examples|bench|tools)/'] },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types', 'require'],
      mainFields: ['module', 'main', 'types', 'typings'],
      extensions: ['.ts', '.d.ts', '.mjs', '.js', '.json'],
    },
  },
};

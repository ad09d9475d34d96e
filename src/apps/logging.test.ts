import { expect, it } from 'vitest';
import { createLogger, nestLogger } from './logging.ts';

function collected(options: { readonly pretty: boolean; readonly level?: 'debug' | 'warn' }) {
  const lines: string[] = [];
  const logger = createLogger({ level: options.level ?? 'debug', pretty: options.pretty, base: { role: 'api' }, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines };
}

it('writes one JSON object a line: level by name, RFC 3339 time, fields, message, the stack of an error', () => {
  const { logger, lines } = collected({ pretty: false });
  logger.warn({ taskId: 't', error: new Error('broken') }, 'a thing happened');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
    role: 'api',
    taskId: 't',
    error: expect.objectContaining({ message: 'broken', stack: expect.stringContaining('logging.test') as string }) as object,
    msg: 'a thing happened',
  });
});

it('writes for people on a terminal', () => {
  const { logger, lines } = collected({ pretty: true });
  logger.error({ taskId: 't', error: new Error('broken') }, 'a thing happened');
  expect(lines.join('').replaceAll(/\u001b\[\d+m/g, '')).toMatch(/^\d\d:\d\d:\d\d\.\d{3} error a thing happened {2}role=api taskId=t\nError: broken\n {4}at /);
});

it('leaves out what is below its level, and tells the framework’s chatter as debug', () => {
  const { logger, lines } = collected({ pretty: false, level: 'warn' });
  logger.info({}, 'no');
  const nest = nestLogger(logger);
  nest.log('Mapped {/v1/tasks, POST} route', 'RouterExplorer');
  nest.error(new Error('yes'), 'ExceptionHandler');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ level: 'error', msg: 'yes', context: 'ExceptionHandler' }]);
});

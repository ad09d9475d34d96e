import type { LoggerService } from '@nestjs/common';
import { pino, stdSerializers, type DestinationStream } from 'pino';
import type { LogFields, Logger } from '../ports/logger.ts';
import type { LogLevel } from './settings.ts';

export interface LoggingOptions {
  readonly level: LogLevel;
  /** Stands in every line, such as the role. */
  readonly base?: Readonly<Record<string, unknown>>;
  /** Lines for people instead of JSON. Default: whether stderr is a terminal. */
  readonly pretty?: boolean;
  /** Where lines go. Default: stderr, written before the call returns, so that a crash loses none. */
  readonly destination?: DestinationStream;
}

/** What the process itself logs with. */
export interface ProcessLogger extends Logger {
  /** Why the process ends at once. */
  fatal(fields: LogFields, message: string): void;
}

/** A logger of JSON lines: `level`, `time` (RFC 3339), the fields given, `msg`. An `error` field is told with its stack. */
export function createLogger({ level, base = {}, pretty = process.stderr.isTTY, destination }: LoggingOptions): ProcessLogger {
  const stderr = destination ?? pino.destination({ fd: 2, sync: true });
  const lines = pretty ? { write: (line: string) => void stderr.write(prettyLine(line)) } : stderr;
  return pino(
    {
      level,
      base,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.err },
    },
    lines,
  );
}

/** NestJS's own lines: what it does at the start is debug, its warnings and errors are ours. */
export function nestLogger(logger: Logger): LoggerService {
  const told = (level: 'debug' | 'warn' | 'error') => (message: unknown, ...rest: unknown[]) => {
    const context = rest.findLast((part) => typeof part === 'string');
    if (message instanceof Error) logger[level]({ context, error: message }, message.message);
    else logger[level]({ context }, typeof message === 'string' ? message : JSON.stringify(message));
  };
  return { log: told('debug'), debug: told('debug'), verbose: told('debug'), warn: told('warn'), error: told('error'), fatal: told('error') };
}

const colours: Readonly<Record<string, string>> = { debug: '\u001b[2m', info: '\u001b[32m', warn: '\u001b[33m', error: '\u001b[31m', fatal: '\u001b[31m' };
const dim = '\u001b[2m';
const plain = '\u001b[0m';

/** `12:34:56.789 info  message  name=value …`, the stack of an error below it. */
function prettyLine(line: string): string {
  const { level, time, msg, error, ...fields } = JSON.parse(line) as { readonly [field: string]: unknown };
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const stack = typeof error === 'object' && error !== null && 'stack' in error ? `\n${dim}${String(error.stack)}${plain}` : '';
  const head = `${dim}${String(time).slice(11, 23)}${plain} ${colours[String(level)] ?? ''}${String(level).padEnd(5)}${plain}`;
  return `${head} ${String(msg)}${rest.length > 0 ? `  ${dim}${rest.join(' ')}${plain}` : ''}${stack}\n`;
}

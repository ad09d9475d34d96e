/** Structured log lines for operators. Never payloads, results, keys or header values. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export interface LogFields {
  readonly [field: string]: unknown;
  readonly taskId?: string;
}

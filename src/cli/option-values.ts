import { InvalidArgumentError } from 'commander';
import { parseDuration } from './format.ts';

/** Readers of option values; what they refuse is a usage error. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

export function duration(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === null) throw new InvalidArgumentError('It must be a duration, such as 500ms, 30s or 5m.');
  return durationMs;
}

export function tag(text: string, former: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must have the form name=value.');
  return { ...former, [text.slice(0, at)]: text.slice(at + 1) };
}

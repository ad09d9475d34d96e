import { sha256Hex } from '../event-producer/event-id.ts';

const framesCounted = 5;

/**
 * 16 hex digits that are equal for errors with the same cause: the name, the message and the top of the stack,
 * without what differs from case to case. Each replacement is linear in the text's length.
 */
export function errorFingerprint(name: string, message: string, stack = ''): string {
  return sha256Hex([name, withoutParticulars(message), ...framesOf(stack)].join('\n')).slice(0, 16);
}

function withoutParticulars(text: string): string {
  return text
    .replaceAll(/\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"'<>)]+/gi, '<url>')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<uuid>')
    .replaceAll(/\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?/g, '<time>')
    .replaceAll(/(?:[a-z]:)?[\\/][\w.@~+-]+(?:[\\/][\w.@~+-]+)*/gi, '<path>')
    .replaceAll(/\b(?=[a-z_-]*\d)[\w-]{8,}\b/gi, '<id>')
    .replaceAll(/\d+(?:\.\d+)?/g, '<number>');
}

/** Function and file of the topmost frames; folders, lines and columns change from machine to machine and release to release. */
function framesOf(stack: string): string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s*at /.test(line))
    .slice(0, framesCounted)
    .map((line) => line.trim().replace(/:\d+(?::\d+)?(?=\)?$)/, '').replace(/(?:file:\/\/)?[^\s()]*[\\/]/, ''));
}

import { pointerToken } from '../../domain/json.ts';

export interface LostInParsing {
  /** JSON pointer to the place. */
  readonly pointer: string;
  readonly detail: string;
}

/**
 * Finds where `JSON.parse` took the text for something else than it says: a member that stands twice (the last one
 * wins silently), or a number that a double cannot hold (2^53 + 1 is rounded, 1e999 becomes infinite). Who signs or
 * compares such content later would be deceived, so it is refused.
 * Cheap for ordinary text: two passes without allocation; only a suspicion reads the text token by token.
 * @param text what `JSON.parse` turned into `parsed`
 */
export function findLostInParsing(text: string, parsed: unknown): LostInParsing | null {
  const isSuspicious = /[\d.]{16}|\d[eE][+-]?\d{3}/.test(text) || countColons(text) !== countMembers(parsed);
  return isSuspicious ? inspectTokens(text) : null;
}

/** Colons outside strings: one for each member that is written. */
function countColons(text: string): number {
  let count = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x3a) count++;
  }
  return count;
}

/** Members that survived parsing. Without recursion: the text may be nested a hundred thousand levels deep. */
function countMembers(parsed: unknown): number {
  let count = 0;
  const open: unknown[] = [parsed];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== 'object' || value === null) continue;
    const inner = Object.values(value);
    if (!Array.isArray(value)) count += inner.length;
    for (const element of inner) if (typeof element === 'object') open.push(element);
  }
  return count;
}

interface Container {
  /** Names seen so far; null in a list. */
  readonly names: Set<string> | null;
  name: string | null;
  index: number;
}

function inspectTokens(text: string): LostInParsing | null {
  const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[{}[\],]/g;
  const open: Container[] = [];
  for (const [token] of text.matchAll(tokens)) {
    const container = open.at(-1);
    const first = token[0] ?? '';
    if (first === '{' || first === '[') open.push({ names: first === '{' ? new Set() : null, name: null, index: 0 });
    else if (first === '}' || first === ']') open.pop();
    else if (first === ',') {
      if (container) Object.assign(container, { name: null, index: container.index + 1 });
    } else if (first === '"') {
      if (!container?.names || container.name !== null) continue;
      container.name = JSON.parse(token) as string;
      if (container.names.has(container.name)) return { pointer: pointerTo(open), detail: 'stands twice in its object' };
      container.names.add(container.name);
    } else if (!survives(token)) return { pointer: pointerTo(open), detail: 'is a number that would be changed; send it as text' };
  }
  return null;
}

function pointerTo(open: readonly Container[]): string {
  const pointer = open.map(({ names, name, index }) => `/${names ? pointerToken(name ?? '') : index}`).join('');
  return pointer.length <= 256 ? pointer : `${pointer.slice(0, 255)}…`;
}

/**
 * Whether a number means the same after parsing. A fraction of up to 17 digits does: a double is written with that
 * many, and denotes the same double again. An integer must be exact.
 */
function survives(source: string): boolean {
  const parsed = Number(source);
  const written = decimal(source);
  if (!Number.isFinite(parsed)) return false;
  if (parsed === 0) return written.digits === '';
  if (written.digits.length <= 15) return true;
  if (written.digits.length <= 17 && written.exponent < 0) return true;
  const read = decimal(String(parsed));
  return written.digits === read.digits && written.exponent === read.exponent;
}

/** Significant digits, and the power of ten of the last one. */
function decimal(source: string): { readonly digits: string; readonly exponent: number } {
  const [, whole = '', fraction = '', power = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const kept = digits.replace(/0+$/, '');
  return { digits: kept, exponent: Number(power) - fraction.length + (digits.length - kept.length) };
}

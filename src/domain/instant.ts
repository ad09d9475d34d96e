/** The last instant that RFC 3339 can write. Due times are capped by it, so that each can be recorded. */
export const latestInstantMs = 253_402_300_799_999;

const pattern = /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/**
 * Epoch milliseconds of an RFC 3339 instant; null when the text is none. Stricter than `Date.parse`, which takes a
 * text without a zone for local time (a replay on another machine would then read another instant) and 30 February
 * for 2 March.
 */
export function parseInstant(text: string): number | null {
  return parseOwnInstant(text) ?? parseAnyInstant(text);
}

/** The form that Daybook writes itself, twice as fast: what comes back as the same text is a real instant. */
function parseOwnInstant(text: string): number | null {
  if (text.length !== 24) return null;
  const timeMs = Date.parse(text);
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString() === text ? timeMs : null;
}

function parseAnyInstant(text: string): number | null {
  const upper = text.toUpperCase();
  const match = pattern.exec(upper);
  if (!match) return null;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // Day 0 of the next month is the last day of this one.
  if (day > new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()) return null;
  const timeMs = Date.parse(upper);
  return Number.isNaN(timeMs) || timeMs > latestInstantMs ? null : timeMs;
}

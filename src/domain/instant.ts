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

/** The form that Daybook writes itself, read digit by digit: every event holds one. Null for any other form. */
function parseOwnInstant(text: string): number | null {
  if (text.length !== 24 || text[4] !== '-' || text[7] !== '-' || text[10] !== 'T') return null;
  if (text[13] !== ':' || text[16] !== ':' || text[19] !== '.' || text[23] !== 'Z') return null;
  const [year, month, day] = [numberAt(text, 0, 4), numberAt(text, 5, 2), numberAt(text, 8, 2)];
  const [hour, minute, second] = [numberAt(text, 11, 2), numberAt(text, 14, 2), numberAt(text, 17, 2)];
  // `Date.UTC` takes years below 100 for those of the last century: they are left to the other.
  if (!(year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 59)) return null;
  const timeMs = Date.UTC(year, month - 1, day, hour, minute, second, numberAt(text, 20, 3));
  const isReal = day <= 28 ? !Number.isNaN(timeMs) : new Date(timeMs).getUTCDate() === day;
  return isReal ? timeMs : null;
}

/** NaN when one of the characters is no digit. */
function numberAt(text: string, at: number, digits: number): number {
  let number = 0;
  for (let place = at; place < at + digits; place++) {
    const digit = text.charCodeAt(place) - 0x30;
    number = digit >= 0 && digit <= 9 ? number * 10 + digit : NaN;
  }
  return number;
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

let lastSecond = NaN;
let textOfLastSecond = '';

/**
 * The instant as `Date` writes it: RFC 3339, UTC, milliseconds. Most are in the second of the one before, whose text
 * is kept, and the calendar is worked out once a second.
 * @throws RangeError for what is no number, or in a second that `Date` does not reach
 */
export function instantText(timeMs: number): string {
  const wholeMs = Math.trunc(timeMs);
  const second = Math.floor(wholeMs / 1_000);
  if (second !== lastSecond) {
    textOfLastSecond = new Date(second * 1_000).toISOString().slice(0, -'000Z'.length);
    lastSecond = second;
  }
  return `${textOfLastSecond}${String(wholeMs - second * 1_000).padStart(3, '0')}Z`;
}

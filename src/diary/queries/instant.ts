const instantPattern = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Epoch milliseconds of an RFC 3339 instant with its time zone; null when the text is none. */
export function parseInstant(text: string): number | null {
  const timeMs = instantPattern.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

export function formatInstant(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

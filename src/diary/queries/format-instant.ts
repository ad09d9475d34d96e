/** An instant as JSON answers it: RFC 3339, UTC, with milliseconds. */
export function formatInstant(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

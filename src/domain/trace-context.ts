/** Part of what belongs to a trace; empty where there is none. */
export interface TraceContext {
  readonly traceparent?: string;
}

/** Version 00 of `traceparent`; later ones begin alike and may go on. */
const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)/;
const longest = 128;

/**
 * The trace of a caller, record or message, as events carry it on (W3C Trace Context, section 3.2).
 * A header that is none is ignored, as the standard has receivers do.
 */
export function traceContextOf(header: unknown): TraceContext {
  return typeof header === 'string' && header.length <= longest && form.test(header) ? { traceparent: header } : {};
}

/** Empty where the caller is in no trace. */
export interface TraceContext {
  readonly traceparent?: string;
}

/** Version 00 of `traceparent`; later ones begin alike and may go on. */
const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)/;
const longest = 128;

/**
 * The trace that a caller is in, as its event carries it on (W3C Trace Context, section 3.2).
 * A header that is none is ignored, as the standard has receivers do.
 */
export function traceContextOf(header: string | string[] | undefined): TraceContext {
  return typeof header === 'string' && header.length <= longest && form.test(header) ? { traceparent: header } : {};
}

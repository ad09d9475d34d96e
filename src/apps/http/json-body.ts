import { isUtf8 } from 'node:buffer';
import { Problem } from '../../task-api/problem.ts';
import { findLostInParsing } from './json-text.ts';

/**
 * Reads the body of a request. What it gives is exactly what the text says, or it throws.
 * @throws Problem 400 `invalid-request`, 415 `unsupported-media-type`
 */
export function parseJsonBody(body: Buffer, contentType: string | undefined, contentEncoding: string | undefined): unknown {
  if (contentEncoding !== undefined && contentEncoding !== 'identity') {
    throw unsupportedMediaType(`The body must not be encoded (Content-Encoding: ${contentEncoding.slice(0, 40)}).`);
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) throw unsupportedMediaType('JSON must be UTF-8.');
  if (body.length === 0) throw malformed('The body is empty; it must be a JSON object.');
  if (!isUtf8(body)) throw malformed('The body is not UTF-8.');
  // A byte order mark says nothing in UTF-8; some tools write one.
  const start = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  const text = body.toString('utf8', start);
  const parsed = parse(text);
  const lost = findLostInParsing(text, parsed);
  if (lost) throw malformed(`${lost.pointer} ${lost.detail}.`, [lost]);
  return parsed;
}

export function unsupportedMediaType(detail: string): Problem {
  return new Problem({ status: 415, code: 'unsupported-media-type', title: 'Unsupported media type', detail });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message repeats a part of the body, which must not come into logs.
    throw malformed('The body is not valid JSON.');
  }
}

function malformed(detail: string, errors: readonly { readonly pointer: string; readonly detail: string }[] = []): Problem {
  return new Problem({ status: 400, code: 'invalid-request', title: 'The body is not understood', detail, errors });
}

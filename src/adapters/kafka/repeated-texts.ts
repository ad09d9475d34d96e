const longestBytes = 64;

/**
 * Decodes UTF-8 and keeps the texts of late, because those of records repeat: the names of headers, most of their
 * values, and the id of a task in each of its events. To find a text again costs less than decoding it, and it is
 * in memory once. Holds one text of at most 64 bytes in each of its places; a newer one takes the place of an older.
 */
export class RepeatedTexts {
  readonly #texts: string[];

  /** @param places a power of two */
  constructor(places = 1_024) {
    this.#texts = new Array<string>(places).fill('');
  }

  text(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > longestBytes) return bytes.toString('utf8', start, end);
    const place = hashOf(bytes, start, end) & (this.#texts.length - 1);
    const known = this.#texts[place] as string;
    if (known.length === length && isText(known, bytes, start)) return known;
    const text = bytes.toString('utf8', start, end);
    this.#texts[place] = text;
    return text;
  }
}

/** By length and the last bytes: where ids and names differ most. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let at = Math.max(start, end - 8); at < end; at++) hash = (hash * 31 + (bytes[at] as number)) | 0;
  return hash ^ (hash >>> 10);
}

/** Only for ASCII: any other byte is no character by itself, whatever the text has in its place. */
function isText(text: string, bytes: Buffer, start: number): boolean {
  for (let index = 0; index < text.length; index++) {
    const byte = bytes[start + index] as number;
    if (byte > 0x7f || byte !== text.charCodeAt(index)) return false;
  }
  return true;
}

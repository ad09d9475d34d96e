import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RepeatedTexts } from './repeated-texts.ts';

it.each([1, 1_024])('gives every text as decoding gives it, however often and after whatever others it comes, with %i places', (places) => {
  const texts = new RepeatedTexts(places);
  // Few different bytes, so that texts come again and nearly again: also half characters, and what is no UTF-8.
  const bytes = fc.oneof(
    fc.array(fc.constantFrom(0x00, 0x61, 0x62, 0x7f, 0x80, 0xc3, 0xa9, 0xe9, 0xff), { maxLength: 3 }).map((list) => Buffer.from(list)),
    fc.string({ unit: 'binary', maxLength: 80 }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), (list) => {
      const all = Buffer.concat(list);
      let start = 0;
      for (const { length } of list) {
        expect(texts.text(all, start, start + length)).toBe(all.toString('utf8', start, start + length));
        start += length;
      }
    }),
    { numRuns: 500 },
  );
});

it('takes no byte for the character of its number', () => {
  const texts = new RepeatedTexts(1);
  const [character, byte] = [Buffer.from('é'), Buffer.from([0xe9])];
  expect([character, byte, character].map((bytes) => texts.text(bytes, 0, bytes.length))).toEqual(['é', '\ufffd', 'é']);
});

it('gives back the text that it has, and decodes one that another has displaced', () => {
  const texts = new RepeatedTexts(1);
  for (const text of ['ce_id', 'ce_id', 'ce_source', 'ce_id', 'x'.repeat(65), 'ce_id']) {
    const bytes = Buffer.from(` ${text} `);
    expect(texts.text(bytes, 1, bytes.length - 1)).toBe(text);
  }
});

// The two UTF-8 coders that every JavaScript host provides. They are pure, so the domain may name them
// although its project loads neither the DOM nor the Node library.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: 'utf-8', options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}

import type { Logger } from '../../src/ports/logger.ts';

/** A logger that says nothing and counts the warnings. */
export function countingLogger(): { readonly logger: Logger; warnings(): number } {
  let warnings = 0;
  return { logger: { debug: () => {}, info: () => {}, warn: () => void (warnings += 1), error: () => {} }, warnings: () => warnings };
}

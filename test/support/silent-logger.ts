import type { Logger } from '../../src/ports/logger.ts';

/** Says nothing. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

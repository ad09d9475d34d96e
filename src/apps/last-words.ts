import type { ProcessLogger } from './logging.ts';

const consequence = 'the state of the process is unknown, so it ends; what it was doing is done again';

/**
 * Ends the process with code 1, after one fatal log line, of an error that nothing caught: most often a promise that a
 * handler started and did not await. It cannot be known what the error left half done, so nothing is drained: to stop
 * as after a kill is what every role recovers from.
 */
export function endOnUncaughtError(logger: ProcessLogger): void {
  let isEnding = false;
  const end = (error: unknown, what: string) => {
    // The log itself may be what fails.
    if (!isEnding) {
      isEnding = true;
      logger.fatal({ error: error instanceof Error ? error : new Error(`thrown without being an Error: ${String(error)}`) }, `${what}: ${consequence}`);
    }
    process.exit(1);
  };
  process.on('uncaughtException', (error) => end(error, 'an error was thrown where nothing catches it'));
  // Listened to by itself, so that no flag of Node's can turn it into a warning.
  process.on('unhandledRejection', (reason) => end(reason, 'a promise was rejected and nothing awaited it, in a handler for example'));
}

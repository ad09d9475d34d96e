import type { LogTail } from '../../adapters/embedded/log-tail.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import { hostedAdapter } from '../hosted-adapter.ts';
import type { Config } from '../config.ts';
import { DiaryThreadHost } from './diary-thread-host.ts';
import { projectionReaderOf, projectionStoreOf } from './projection-of.ts';

/**
 * The diary of a process that runs other roles too: its projector has a thread of its own, so that folding and writing
 * rows hold up neither requests nor handlers.
 * @param tail of a log in this process, which tells the thread that it has grown; the thread waits at Kafka by itself
 */
export function diaryInThread(config: Config, tail: LogTail | null, clock: Clock, logger: Logger) {
  const projectionReader = projectionReaderOf(config);
  const projector = new DiaryThreadHost({ config }, clock, logger);
  const stopTelling = tail?.onChange(() => projector.logAdvanced());
  return {
    projector,
    projectionReader,
    /** The log that the rows were derived from; asked before a topic is created. */
    knownLogs: async () => {
      const store = projectionStoreOf(config);
      return store.knownLogs().finally(() => store.close());
    },
    services: [hostedAdapter('questions', projectionReader), ...(stopTelling ? [hostedAdapter('telling', { close: stopTelling })] : []), projector],
  };
}

import { EmbeddedEventAppender } from '../../src/adapters/embedded/embedded-event-appender.ts';
import { EmbeddedEventReader } from '../../src/adapters/embedded/embedded-event-reader.ts';
import { EmbeddedExecutionClaims } from '../../src/adapters/embedded/embedded-execution-claims.ts';
import { EmbeddedJobReceiver } from '../../src/adapters/embedded/embedded-job-receiver.ts';
import { EmbeddedJobs, type EmbeddedJobsOptions } from '../../src/adapters/embedded/embedded-jobs.ts';
import { EmbeddedJobSender } from '../../src/adapters/embedded/embedded-job-sender.ts';
import { openEmbeddedStore } from '../../src/adapters/embedded/embedded-store.ts';
import { SystemClock } from '../../src/adapters/system/system-clock.ts';
import type { Clock } from '../../src/ports/clock.ts';

export type EmbeddedAdapters = ReturnType<typeof openEmbeddedAdapters>;

/** Everything that stands on one data folder, opened for writing. */
export function openEmbeddedAdapters(folder: string, clock: Clock = new SystemClock(), jobsOptions: EmbeddedJobsOptions = {}) {
  const store = openEmbeddedStore({ folder, clock });
  const jobs = new EmbeddedJobs(store, jobsOptions);
  const reader = new EmbeddedEventReader(store);
  return {
    store,
    jobs,
    reader,
    appender: new EmbeddedEventAppender(store),
    sender: new EmbeddedJobSender(jobs),
    receiver: new EmbeddedJobReceiver(jobs),
    claims: new EmbeddedExecutionClaims(store),
    async close(): Promise<void> {
      await store.close();
      reader.close();
    },
  };
}

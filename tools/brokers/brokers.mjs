import { kafka } from './kafka.mjs';
import { postgres } from './postgres.mjs';
import { rabbitmq } from './rabbitmq.mjs';

/**
 * Each has `name`, `wants()` (Debian packages), `prepare()` (whatever else may take minutes: it blocks, so it comes before
 * any start, whose waiting has limits), `start(settings)` (resolves after a round trip; changes nothing where it
 * runs as asked), `stop(settings)` (resolves to whether there was anything to stop) and `environment(settings)` (the
 * variables that reach the broker; none where it does not run).
 */
export const brokers = { kafka, rabbitmq, postgres };

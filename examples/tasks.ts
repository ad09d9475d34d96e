import { fileChecksumHandler } from './file-checksum.ts';
import { flakyHandler, hopelessHandler } from './flaky.ts';
import { webhookDeliverHandler } from './webhook-deliver.ts';

/** Everything that a worker started with `DAYBOOK_TASKS=examples/tasks.ts` can do. */
export default [fileChecksumHandler, webhookDeliverHandler, flakyHandler, hopelessHandler];

import { jobQueueContract } from '../../../test/contracts/job-queue.contract.ts';
import { embeddedJobQueueHarness } from '../../../test/support/embedded-harness.ts';

jobQueueContract({ name: 'embedded', create: embeddedJobQueueHarness });

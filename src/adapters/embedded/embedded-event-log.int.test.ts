import { eventLogContract } from '../../../test/contracts/event-log.contract.ts';
import { embeddedEventLogHarness } from '../../../test/support/embedded-harness.ts';

eventLogContract({ name: 'embedded', create: embeddedEventLogHarness });

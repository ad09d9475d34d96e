import { presenceContract } from '../../../test/contracts/presence.contract.ts';
import { embeddedPresenceHarness } from '../../../test/support/embedded-harness.ts';

presenceContract({
  name: 'embedded',
  missing: {
    'lost contact': 'writer and reader share the memory of one process',
    'other writers': 'nothing but a writer reaches a reader, and there is no place that could be destroyed',
  },
  create: embeddedPresenceHarness,
});

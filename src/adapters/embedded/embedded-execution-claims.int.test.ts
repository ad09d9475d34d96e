import { executionClaimsContract } from '../../../test/contracts/execution-claims.contract.ts';
import { embeddedExecutionClaimsHarness } from '../../../test/support/embedded-harness.ts';

executionClaimsContract({ name: 'embedded', create: embeddedExecutionClaimsHarness });

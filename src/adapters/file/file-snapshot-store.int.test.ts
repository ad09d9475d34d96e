import { fileSnapshotsUnderTest } from '../../../test/contracts/file-snapshots-under-test.ts';
import { snapshotStoreContract } from '../../../test/contracts/snapshot-store.contract.ts';

snapshotStoreContract(fileSnapshotsUnderTest());

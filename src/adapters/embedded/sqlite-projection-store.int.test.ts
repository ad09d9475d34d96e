import { projectionStoreContract } from '../../../test/contracts/projection-store.contract.ts';
import { sqliteProjectionsUnderTest } from '../../../test/contracts/sqlite-projections-under-test.ts';

projectionStoreContract(sqliteProjectionsUnderTest());

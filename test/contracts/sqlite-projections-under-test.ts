import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectionFile, projectionTables } from '../../src/adapters/embedded/sqlite-projection-schema.ts';
import { SqliteProjectionReader } from '../../src/adapters/embedded/sqlite-projection-reader.ts';
import { SqliteProjectionStore } from '../../src/adapters/embedded/sqlite-projection-store.ts';
import { openDatabase } from '../../src/adapters/embedded/sqlite-database.ts';
import type { ProjectionStore } from '../../src/ports/projection-store.ts';
import type { AdapterUnderTest } from './contract.ts';
import type { Projections, ProjectionStoreHarness } from './projection-store.contract.ts';

/** The read model in SQLite under its contract. @param breakStore makes it faulty, to show that the contract notices */
export function sqliteProjectionsUnderTest(
  name = 'SQLite',
  breakStore: (store: ProjectionStore) => ProjectionStore = (store) => store,
): AdapterUnderTest<ProjectionStoreHarness> {
  return { name, create: async () => new SqliteHarness(breakStore) };
}

class SqliteHarness implements ProjectionStoreHarness {
  readonly #folder = mkdtempSync(join(tmpdir(), 'daybook-projections-'));
  readonly #opened: Projections[] = [];
  readonly #breakStore: (store: ProjectionStore) => ProjectionStore;

  constructor(breakStore: (store: ProjectionStore) => ProjectionStore) {
    this.#breakStore = breakStore;
  }

  async open(): Promise<Projections> {
    const store = this.#breakStore(new SqliteProjectionStore(this.#folder));
    const projections = { store, reader: new SqliteProjectionReader(this.#folder) };
    this.#opened.push(projections);
    return projections;
  }

  /** The first connection stays open and is never used again: it neither checkpoints nor tidies up. */
  reopenAfterCrash(): Promise<Projections> {
    return this.open();
  }

  async dropTables(which: 'all' | 'one'): Promise<void> {
    const database = openDatabase(join(this.#folder, projectionFile));
    for (const table of which === 'all' ? projectionTables : ['tasks']) database.exec(`DROP TABLE ${table}`);
    database.close();
  }

  async close(): Promise<void> {
    for (const { store, reader } of this.#opened) {
      await store.close();
      await reader.close();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

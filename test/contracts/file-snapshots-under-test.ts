import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileSnapshotStore } from '../../src/adapters/file/file-snapshot-store.ts';
import type { SnapshotStore } from '../../src/ports/snapshot-store.ts';
import { countingLogger } from '../support/counting-logger.ts';
import type { AdapterUnderTest } from './contract.ts';
import type { SnapshotStoreHarness } from './snapshot-store.contract.ts';

/** Snapshots in files under their contract. @param breakStore makes it faulty, to show that the contract notices */
export function fileSnapshotsUnderTest(name = 'files', breakStore: (store: SnapshotStore) => SnapshotStore = (store) => store): AdapterUnderTest<SnapshotStoreHarness> {
  return { name, create: async () => new FileHarness(breakStore) };
}

class FileHarness implements SnapshotStoreHarness {
  readonly #root = mkdtempSync(join(tmpdir(), 'daybook-snapshots-'));
  readonly #folder = join(this.#root, 'snapshots');
  readonly #log = countingLogger();
  readonly #breakStore: (store: SnapshotStore) => SnapshotStore;

  constructor(breakStore: (store: SnapshotStore) => SnapshotStore) {
    this.#breakStore = breakStore;
  }

  open(topic = 'tasks', version?: number): SnapshotStore {
    return this.#breakStore(new FileSnapshotStore({ folder: this.#folder, topic, logger: this.#log.logger, ...(version === undefined ? {} : { version }) }));
  }

  /** A process that died while it wrote leaves the beginning of a file. */
  async reopenAfterCrash(): Promise<SnapshotStore> {
    writeFileSync(join(this.#folder, 'tasks.0.snapshot.1.new'), '{"topic":"tasks","partition":0,"lo');
    return this.open();
  }

  async damage(partition: number, how: 'flip a byte of the body' | 'cut it short' | 'move its position'): Promise<void> {
    const path = join(this.#folder, `tasks.${partition}.snapshot`);
    const bytes = readFileSync(path);
    if (how === 'cut it short') return writeFileSync(path, bytes.subarray(0, -10));
    if (how === 'move its position') return writeFileSync(path, bytes.toString('latin1').replace('"position":12', '"position":13'), 'latin1');
    bytes[bytes.indexOf('body')]! ^= 1;
    writeFileSync(path, bytes);
  }

  /** A file stands where the folder was. */
  async breakWriting(): Promise<void> {
    renameSync(this.#folder, `${this.#folder}.away`);
    writeFileSync(this.#folder, '');
  }

  warnings(): number {
    return this.#log.warnings();
  }

  async close(): Promise<void> {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

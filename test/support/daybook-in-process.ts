import { onTestFinished } from 'vitest';
import { startDaybook, type Daybook, type DaybookOptions } from '../../src/index.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface RunningDaybook {
  readonly daybook: Daybook;
  readonly url: string;
  readonly folder: string;
}

/** A whole Daybook in this process, with HTTP on a free port and a folder of its own. Stops when the test ends. */
export async function startInProcess(options: DaybookOptions): Promise<RunningDaybook> {
  const folder = options.dataDir ?? temporaryFolder();
  const daybook = await startDaybook({ port: 0, logLevel: 'error', ...options, dataDir: folder });
  onTestFinished(() => daybook.stop());
  return { daybook, folder, url: daybook.url ?? '' };
}

import { constants } from 'node:fs';
import { access, opendir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

export interface DemoFile {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface FileCollection {
  readonly files: readonly DemoFile[];
  readonly bytes: number;
  /** Regular files that this user may not read. */
  readonly unreadable: number;
  /** Whether the folder holds more than the caps allow. */
  readonly capped: boolean;
}

export const mostFiles = 2_000;
export const mostBytes = 2_000_000_000;

/**
 * The regular files below a folder, in the order of their names, up to the caps. Links are not followed, so that a
 * link to a parent cannot make it endless; `except` (a folder, or null) is left out.
 * @throws the error of the file system when `folder` itself cannot be read
 */
export async function collectFiles(folder: string, except: string | null): Promise<FileCollection> {
  const files: DemoFile[] = [];
  const sum = { bytes: 0, unreadable: 0, capped: false };
  const folders = [resolve(folder)];
  const excluded = except === null ? null : resolve(except);
  for (let next = folders.pop(); next !== undefined && !sum.capped; next = folders.pop()) {
    const { names, subfolders } = await list(next, next === resolve(folder));
    for (const name of names) {
      const file = await describe(join(next, name));
      if (file === null) sum.unreadable += 1;
      else if (files.length >= mostFiles || sum.bytes + file.bytes > mostBytes) sum.capped = true;
      else {
        files.push(file);
        sum.bytes += file.bytes;
      }
    }
    // Taken from the end, so the first name has to be the last.
    folders.push(...subfolders.map((name) => join(next, name)).filter((path) => path !== excluded).reverse());
  }
  return { files, ...sum };
}

async function list(folder: string, isRoot: boolean): Promise<{ names: string[]; subfolders: string[] }> {
  const names: string[] = [];
  const subfolders: string[] = [];
  try {
    for await (const entry of await opendir(folder)) {
      if (entry.isFile()) names.push(entry.name);
      else if (entry.isDirectory()) subfolders.push(entry.name);
    }
  } catch (error) {
    // A folder below may be closed to us or vanish meanwhile; the one that was asked for must be readable.
    if (isRoot) throw error;
  }
  return { names: names.sort(), subfolders: subfolders.sort() };
}

async function describe(path: string): Promise<DemoFile | null> {
  try {
    await access(path, constants.R_OK);
    const { size, mtimeMs } = await stat(path);
    return { path, bytes: size, modifiedMs: mtimeMs };
  } catch {
    return null;
  }
}

/** Whether a file is not what it was when the demo began; its checksum then proves nothing. */
export async function hasChanged(file: DemoFile): Promise<boolean> {
  const now = await describe(file.path);
  return now === null || now.bytes !== file.bytes || now.modifiedMs !== file.modifiedMs;
}

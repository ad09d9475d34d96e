import { statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';
import { DaybookError, messageOf } from '../domain/errors.ts';
import { isTaskDefinition } from '../task-definition/define-task.ts';
import { isTaskHandler } from '../task-definition/handle.ts';
import type { CatalogEntry } from '../task-definition/task-catalog.ts';

const extensions = ['.ts', '.mts', '.js', '.mjs'];

/**
 * Loads the task modules of `DAYBOOK_TASKS`, in order. TypeScript is read by type stripping, so its syntax must be
 * erasable; a package must ship JavaScript.
 * @param names paths (absolute, or from `directory`) or package names resolved from `directory`
 * @throws DaybookError `task-invalid` naming the module and the fix
 */
export async function loadTasks(names: readonly string[], directory: string): Promise<readonly CatalogEntry[]> {
  const entries: CatalogEntry[] = [];
  for (const name of names) entries.push(...entriesOf(name, await load(name, directory)));
  return entries;
}

async function load(name: string, directory: string): Promise<unknown> {
  const path = resolve(directory, name);
  const isPath = isFile(path) || name.startsWith('.') || name.startsWith('/') || extensions.includes(extname(name));
  if (isPath && !isFile(path)) throw invalid(name, `is no file: ${path}`);
  if (isPath && !extensions.includes(extname(path))) throw invalid(name, `must end in ${extensions.join(', ')}`);
  try {
    const module = isPath ? await import(pathToFileURL(path).href) : await importFrom(directory, name);
    return (module as { readonly default?: unknown }).default;
  } catch (error) {
    if (!isPath && isNotFound(error, name)) {
      throw invalid(name, `is neither a file nor an installed package as seen from ${directory}; write ./${name} for a file, or install the package`, error);
    }
    throw invalid(name, `failed while it was loaded: ${messageOf(error)}`, error);
  }
}

/** Imports a package as a file in `directory` would: `import` here would look beside Daybook's own files. */
function importFrom(directory: string, name: string): Promise<unknown> {
  const script = new Script('(name) => import(name)', {
    filename: join(directory, 'tasks.js'),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return (script.runInThisContext() as (name: string) => Promise<unknown>)(name);
}

function isNotFound(error: unknown, name: string): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`'${name}'`);
}

function entriesOf(name: string, exported: unknown): readonly CatalogEntry[] {
  if (!Array.isArray(exported)) throw invalid(name, 'must have a default export that is an array: export default [handle(definition, work)]');
  const wrong = exported.findIndex((entry) => !isTaskHandler(entry) && !isTaskDefinition(entry));
  if (wrong !== -1) throw invalid(name, `entry ${wrong} of its default export must come from handle(…) or defineTask(…)`);
  return exported as readonly CatalogEntry[];
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function invalid(name: string, rule: string, cause?: unknown): DaybookError {
  return new DaybookError('task-invalid', `task module ${name} ${rule}`, cause === undefined ? undefined : { cause });
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { isTaskDefinition } from '../task-definition/define-task.ts';
import { loadTasks } from './load-tasks.ts';

const define = `import { defineTask } from '${pathToFileURL(join(import.meta.dirname, '../task-definition/define-task.ts')).href}';
const payload = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const task = (type) => defineTask({ type, payload });
`;

function folderWith(files: Record<string, string>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

it('loads paths of every kind and packages, in order, from the folder given', async () => {
  const folder = folderWith({
    'a.mjs': `${define}export default [task('a'), task('b')];`,
    'sub/c.mts': `${define}const name: string = 'c'; export default [task(name)];`,
    'node_modules/tasks-package/package.json': '{"name":"tasks-package","type":"module","exports":{"import":"./main.js"}}',
    'node_modules/tasks-package/main.js': `${define}export default [task('d')];`,
  });
  const entries = await loadTasks(['a.mjs', './sub/c.mts', join(folder, 'a.mjs'), 'tasks-package'], folder);
  expect(entries.map((entry) => (isTaskDefinition(entry) ? entry.type : 'handler'))).toEqual(['a', 'b', 'c', 'a', 'b', 'd']);
});

it.each([
  ['./missing.ts', {}, /task module \.\/missing\.ts is no file: /],
  ['no-such-package', {}, /no-such-package is neither a file nor an installed package .*write \.\/no-such-package for a file/],
  ['./a.json', { 'a.json': '[]' }, /must end in \.ts, \.mts, \.js, \.mjs/],
  ['./a.mjs', { 'a.mjs': 'throw new Error("on purpose")' }, /failed while it was loaded: on purpose/],
  ['./a.mjs', { 'a.mjs': 'export const tasks = [];' }, /must have a default export that is an array/],
  ['./a.mjs', { 'a.mjs': 'export default [{ type: "x" }];' }, /entry 0 of its default export must come from handle/],
])('says what is wrong with %s', async (name, files, message) => {
  await expect(loadTasks([name], folderWith(files as Record<string, string>))).rejects.toThrow(message);
});

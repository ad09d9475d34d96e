import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = join(root, 'node_modules/typescript/bin/tsc');

it('can be used by a program that has no types of Node’s, with every declaration checked', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/daybook'));
  const options = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: [], skipLibCheck: false };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['program.ts'] }));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(join(folder, 'program.ts'), `${importsOfEntries()}
import { startDaybook, defineTask, handle, type StandardSchema } from 'daybook';
declare const text: StandardSchema<string>;
const greet = defineTask({ type: 'greet', payload: text, result: text });
const daybook = await startDaybook({ tasks: [handle(greet, (name) => 'Hello, ' + name)] });
const { id } = await daybook.submit(greet, 'Ada');
export const result = (await daybook.wait(id)).result;
`);
  expect(await compile(folder)).toBe('');
});

/** All of them, so that an entry that comes later is looked at as well. */
function importsOfEntries(): string {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: Record<string, string | { types: string }> };
  const entries = Object.entries(exports).flatMap(([name, target]) => (typeof target === 'string' ? [] : [`daybook${name.slice(1)}`]));
  expect(entries.length).toBeGreaterThanOrEqual(2);
  return entries.map((entry, index) => `export * as entry${index} from '${entry}';`).join('\n');
}

/** What the compiler complains of. */
function compile(folder: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, '-p', folder], (_error, stdout) => resolve(stdout));
  });
}

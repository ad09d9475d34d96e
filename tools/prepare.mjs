// Runs when npm installs this folder: builds dist where the compiler is at hand, and is content with a dist that is there.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const built = fileURLToPath(new URL('../dist/index.js', import.meta.url));

if (existsSync(compiler)) {
  const { status } = spawnSync(process.execPath, [compiler, '-b', 'src', 'examples'], { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else if (!existsSync(built)) {
  console.error(`daybook in ${root} is not built and its compiler is not installed; run "make build" there first.`);
  process.exitCode = 1;
}

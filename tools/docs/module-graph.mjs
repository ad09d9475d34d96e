// Draws who imports whom, from the source as dependency-cruiser reads it, into docs/design/04-modules-and-dependencies.md
// between its markers. Plain: writes the page. `--check`: writes nothing, and exits 1 when the page is stale.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = `${root}docs/design/04-modules-and-dependencies.md`;
const begin = '<!-- module graph: written by tools/docs/module-graph.mjs -->';
const end = '<!-- end of module graph -->';

/** Five modules do the work; the table shows what authority each holds. */
const modules = ['task-api', 'event-producer', 'dispatch', 'worker', 'diary'];

const imports = readImports();
const text = readFileSync(page, 'utf8');
const fresh = withBlock(text, [drawing(imports), '', portTable(imports)].join('\n'));

if (process.argv.includes('--check')) {
  if (fresh !== text) {
    console.error('docs/design/04-modules-and-dependencies.md is stale: run node tools/docs/module-graph.mjs');
    process.exitCode = 1;
  }
} else if (fresh !== text) writeFileSync(page, fresh);

/** Every import between two files of src, tests apart: [{ from, to }]. */
function readImports() {
  const cruise = spawnSync(
    process.execPath,
    [`${root}node_modules/.bin/depcruise`, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'src'],
    { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
  );
  if (!cruise.stdout) throw new Error(`dependency-cruiser printed nothing: ${cruise.stderr || cruise.error}`);
  const sources = JSON.parse(cruise.stdout).modules.filter(({ source }) => isSource(source));
  if (sources.length === 0) throw new Error('dependency-cruiser looked at no source file');
  return sources.flatMap(({ source, dependencies }) =>
    dependencies.filter(({ resolved }) => isSource(resolved)).map(({ resolved }) => ({ from: source, to: resolved })),
  );
}

function isSource(file) {
  return file.startsWith('src/') && !/\.(test|contract)\.ts$/.test(file);
}

/** The folder that a file stands for: `dispatch`, `adapters/embedded`, or the entry itself. */
function folderOf(file) {
  const [, first, second] = file.split('/');
  return first === 'adapters' ? `adapters/${second}` : first;
}

/** Folders as nodes, imports as arrows. Arrows to the domain are left out: all but two of them would be there. */
function drawing(edges) {
  const folders = [...new Set(edges.flatMap(({ from, to }) => [folderOf(from), folderOf(to)]))].sort();
  const arrows = new Set(
    edges
      .map(({ from, to }) => [folderOf(from), folderOf(to)])
      .filter(([from, to]) => from !== to && to !== 'domain')
      .map(([from, to]) => `  ${nodeName(from)} --> ${nodeName(to)}`),
  );
  const nodes = folders.map((folder) => `  ${nodeName(folder)}["${folder}"]`);
  return ['```mermaid', 'flowchart TD', ...nodes, ...[...arrows].sort(), '```'].join('\n');
}

function nodeName(folder) {
  return folder.replaceAll(/[^a-z]/g, '_');
}

/**
 * Which module holds which port: read a column downwards, and you see what a module can do. `wires`: only its
 * `*.module.ts` names the port, to hand it to somebody else's class.
 */
function portTable(edges) {
  const held = new Map();
  for (const { from, to } of edges) {
    const port = /^src\/ports\/(.+)\.ts$/.exec(to)?.[1];
    if (port === undefined || !modules.includes(folderOf(from))) continue;
    const pair = `${port} ${folderOf(from)}`;
    if (!from.endsWith('.module.ts')) held.set(pair, 'yes');
    else if (!held.has(pair)) held.set(pair, 'wires');
  }
  const ports = [...new Set([...held.keys()].map((pair) => pair.split(' ')[0]))].sort();
  const rows = ports.map((port) => `| \`${port}\` | ${modules.map((name) => held.get(`${port} ${name}`) ?? '').join(' | ')} |`);
  return [`| Port | ${modules.join(' | ')} |`, `|---${'|---'.repeat(modules.length)}|`, ...rows].join('\n');
}

function withBlock(text, block) {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the page needs the two markers: ${begin} and ${end}`);
  return `${text.slice(0, from + begin.length)}\n${block}\n${text.slice(to)}`;
}

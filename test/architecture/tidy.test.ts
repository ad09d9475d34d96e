import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const notOurs = new Set(['node_modules', 'dist', '.git', '.tools', '.brokers', '.cache', '.daybook', 'coverage']);
const entries = ['src/index.ts', 'src/client.ts', 'src/testing.ts'];
const foldersOfSrc = [
  'adapters', 'apps', 'audit', 'cli', 'client', 'diary', 'dispatch', 'domain', 'event-producer', 'ports', 'task-api', 'task-definition', 'worker',
];

const files = walk(root);
const code = files.filter((file) => /^(src|test|examples)\//.test(file) && file.endsWith('.ts'));

it('names every code file in kebab case, with an allowed suffix or none', () => {
  const allowed = /^[a-z0-9]+(-[a-z0-9]+)*(\.module|\.controller|\.contract|\.test|\.int\.test|\.d)?\.ts$/;
  expect(code.length).toBeGreaterThan(0);
  expect(code.filter((file) => !allowed.test(basename(file)))).toEqual([]);
});

it('has no file named after a technical layer', () => {
  const forbidden = /[.-](service|util|utils|helper|helpers|interface|type|types|dto|manager)\.ts$/;
  expect(code.filter((file) => forbidden.test(file.replace(/\.(test|int\.test)\.ts$/, '.ts')))).toEqual([]);
});

it('names every folder in kebab case and none after a lack of ideas', () => {
  const folders = new Set(code.flatMap((file) => file.split('/').slice(0, -1)));
  expect([...folders].filter((folder) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(folder))).toEqual([]);
  expect([...folders].filter((folder) => ['common', 'shared', 'utils', 'util', 'helpers', 'misc', 'lib'].includes(folder))).toEqual([]);
});

it('has only the known folders and the three entries directly in src', () => {
  const direct = new Set(code.filter((file) => file.startsWith('src/')).map((file) => file.split('/')[1]));
  const known = new Set([...foldersOfSrc, ...entries.map((entry) => basename(entry))]);
  expect([...direct].filter((name) => name === undefined || !known.has(name))).toEqual([]);
});

it('has no barrel besides the three entries', () => {
  const barrels = code.filter((file) => file.startsWith('src/') && !entries.includes(file) && isBarrel(file));
  expect(barrels).toEqual([]);
});

it('names no machine path and no package registry', () => {
  // Put together here, so that this file does not name them either.
  const hosts = ['registry\\.npm' + 'js\\.org', 'repo1?\\.maven\\.' + '(org|apache)', 'pypi\\.' + 'org', 'deb\\.debian\\.' + 'org', 'crates\\.' + 'io'];
  const forbidden = new RegExp(`(^|[^\\w.-])/wor${'k'}/|shared/resear${'ch'}|${hosts.join('|')}`, 'm');
  expect(files.filter((file) => file !== 'package-lock.json' && forbidden.test(read(file)))).toEqual([]);
});

it('locks packages from the public registry only', () => {
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string; link?: boolean }> };
  const elsewhere = Object.entries(lock.packages).filter(
    ([, { resolved }]) => resolved !== undefined && !resolved.startsWith('https://registry.npm' + 'js.org/'),
  );
  expect(elsewhere).toEqual([]);
});

function walk(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(entry.name) || entry.isSymbolicLink()) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return walk(path);
    return statSync(path).size < 1_000_000 ? [relative(root, path)] : [];
  });
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** A file that holds re-exports and nothing else, or is named index.ts. */
function isBarrel(file: string): boolean {
  if (basename(file) === 'index.ts') return true;
  const statements = read(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const reExport = /export\s+(type\s+)?(\*(\s+as\s+\w+)?|\{[^}]*\})\s*from\s*['"][^'"]+['"];?/g;
  return reExport.test(statements) && statements.replaceAll(reExport, '').replaceAll(/import\s[^;]*;/g, '').trim() === '';
}

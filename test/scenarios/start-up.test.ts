import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const entry = new URL('../../dist/index.js', import.meta.url).href;
const program = `
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
const { startDaybook } = await import('${entry}');
const daybook = await startDaybook({ tasks: [], dataDir: process.argv[1] });
await daybook.stop();
const packages = loaded.flatMap((url) => /.*node_modules.((?:@[^/]+.)?[^/]+)/.exec(url)?.[1] ?? []);
console.log(JSON.stringify([...new Set(packages)]));
`;

it('starts on files without reading the clients of servers: with that of Kafka alone it takes half as long again', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, temporaryFolder()], { cwd: fileURLToPath(new URL('.', entry)) });
  const packages = JSON.parse(stdout) as string[];
  expect(packages).toContain('@nestjs/core');
  expect(packages.filter((name) => name.startsWith('@platformatic/') || name === 'amqplib')).toEqual([]);
});

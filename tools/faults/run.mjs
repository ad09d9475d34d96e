// `make faults`: what becomes of acknowledged events when Kafka fails. Every case writes and reads through the product,
// does one thing to the servers, and has kcat say what is in the log. CASE=name,name runs some. Exit code 1 when an
// event is missing, wrong or out of order, or when a case could not be done.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../brokers/command.mjs';
import { BrokersError } from '../brokers/brokers-error.mjs';
import { kafka } from '../brokers/kafka.mjs';
import { installMissing, isOnPath } from '../brokers/packages.mjs';
import { projectFolder } from '../brokers/settings.mjs';
import { cases } from './cases.mjs';
import { Cluster } from './cluster.mjs';
import { isGood, reportOf } from './report.mjs';
import { runCase } from './run-case.mjs';

// Servers of its own, so that it stops, kills and freezes none that somebody works with.
process.env.BROKERS_DIR = join(process.env.BROKERS_DIR || join(projectFolder, '.brokers'), 'faults');
const reportFile = join(projectFolder, '.cache', 'reports', 'kafka-faults.md');

await runCommand(async (settings) => {
  const chosen = chooseCases(process.env.CASE);
  installMissing([...kafka.wants(), { present: () => isOnPath('kcat'), packages: ['kcat'] }], settings.folder);
  kafka.prepare();
  const cluster = new Cluster(settings);
  stopOnSignals(cluster);
  const results = [];
  try {
    for (const each of chosen) {
      if (cluster.stopped) return;
      results.push(await runAndTell(each, cluster, join(settings.folder, 'cases', each.name)));
    }
  } finally {
    await cluster.stop();
  }
  const report = reportOf(results);
  mkdirSync(join(reportFile, '..'), { recursive: true });
  writeFileSync(reportFile, report);
  process.stdout.write(report);
  if (results.every(isGood)) rmSync(join(settings.folder, 'kafka'), { recursive: true, force: true });
  else process.exitCode = 1;
});

async function runAndTell(each, cluster, folder) {
  const startMs = performance.now();
  const took = () => `${((performance.now() - startMs) / 1_000).toFixed(0)} s`;
  say(`${each.name} …`);
  try {
    const verdict = await runCase(each, cluster, folder);
    const { acknowledged, missing, wrong, outOfOrder, misread } = verdict;
    say(`${each.name}: ${acknowledged} acknowledged, ${missing} missing, ${wrong} wrong, ${outOfOrder} out of order, ${misread} misread (${took()})`);
    // What it wrote is of use only where something is not right.
    if (isGood({ verdict })) rmSync(folder, { recursive: true, force: true });
    return { each, verdict };
  } catch (error) {
    say(`${each.name}: not done (${took()}): ${error instanceof BrokersError ? error.message : error.stack}`);
    return { each, error };
  }
}

function chooseCases(wanted) {
  const names = wanted?.split(',').map((name) => name.trim()).filter(Boolean) ?? [];
  const unknown = names.filter((name) => !cases.some((each) => each.name === name));
  if (unknown.length > 0) throw new BrokersError(`CASE names ${unknown.join(', ')}; it takes a comma-separated choice of ${cases.map(({ name }) => name).join(', ')}.`);
  return names.length === 0 ? cases : cases.filter(({ name }) => names.includes(name));
}

/** Nothing of it stays behind an interrupted run; writer and reader end when their parent does. */
function stopOnSignals(cluster) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      say('stopping');
      void cluster.stop().finally(() => process.exit(130));
    });
  }
}

function say(line) {
  process.stderr.write(`faults: ${line}\n`);
}

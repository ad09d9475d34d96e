// Runs the steps of `make check` and `make test` one after another, streams what each prints, and adds up what passed.
// A step that is not a test runner counts as one. The last line is the sum: "N passed, N failed".
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url));
const reports = fileURLToPath(new URL('../.cache/reports/', import.meta.url));

const types = { name: 'types', command: [bin('tsc'), '-b'] };
const lint = { name: 'lint', command: [bin('eslint'), '--max-warnings', '0', '.'] };
const boundaries = { name: 'boundaries', command: [bin('depcruise'), '--config', '.dependency-cruiser.mjs', 'src'] };
// A lane is required as soon as its folder exists: an existing lane without a test is a failure, not a success.
const unit = { name: 'unit', project: 'unit', folder: 'src' };
const contracts = { name: 'contracts', project: 'contracts', folder: 'test/contracts' };
const scenarios = { name: 'scenarios', project: 'scenarios', folder: 'test/scenarios' };

const brokers = { name: 'brokers', project: 'brokers', folder: 'test/brokers', needsBrokers: true };

const plans = {
  check: [types, lint, boundaries, unit],
  test: [types, lint, boundaries, unit, contracts, scenarios, brokers],
};

const allowedSkipsFile = new URL('../test/allowed-skips.json', import.meta.url);
/** Full test names (or their beginnings) that may be skipped, each with its reason: [{ "test": "...", "reason": "..." }]. */
const allowedSkips = existsSync(allowedSkipsFile) ? JSON.parse(readFileSync(allowedSkipsFile, 'utf8')) : [];

/** Lanes on files must not meet servers that the caller's environment names; those on servers take them from there. */
function environmentOf({ needsBrokers = false } = {}) {
  return needsBrokers ? process.env : Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DAYBOOK_')));
}

function run(command, lane) {
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: environmentOf(lane) });
    child.once('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function runStep(step) {
  const exitCode = await run(step.command);
  return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

const brokerNames = ['DAYBOOK_KAFKA_BROKERS', 'DAYBOOK_RABBITMQ_URL', 'DAYBOOK_POSTGRES_URL'];

/** Brings up what the environment does not name, and afterwards stops it, unless it ran before. */
async function withBrokers(lane) {
  if (brokerNames.every((name) => process.env[name])) return runLane(lane);
  const ranBefore = existsSync(new URL('../.brokers/env', import.meta.url));
  if ((await run([process.execPath, 'tools/brokers/start.mjs'], lane)) !== 0) {
    console.error(`${lane.name}: the brokers did not come up; run \`make brokers\` to see why, or name yours in ${brokerNames.join(', ')}`);
    return { passed: 0, failed: 1 };
  }
  try {
    return await runLane(lane);
  } finally {
    if (!ranBefore) await run([process.execPath, 'tools/brokers/stop.mjs'], lane);
  }
}

async function runLane(lane) {
  if (!existsSync(new URL(`../${lane.folder}`, import.meta.url))) {
    console.log(`${lane.folder} does not exist yet: no ${lane.name} to run`);
    return { passed: 0, failed: 0 };
  }
  const report = `${reports}${lane.name}.json`;
  rmSync(report, { force: true });
  const exitCode = await run([
    bin('vitest'), 'run', '--project', lane.project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`,
  ], lane);
  return judge(lane, exitCode, readReport(report));
}

function readReport(report) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { testResults: [] };
  }
}

function judge(lane, exitCode, report) {
  const sum = { passed: 0, failed: 0 };
  const fail = (reason) => {
    console.error(`${lane.name}: ${reason}`);
    sum.failed += 1;
  };
  for (const file of report.testResults) {
    // A file that could not be loaded holds no test of its own, yet it failed.
    if (file.status === 'failed' && file.assertionResults.length === 0) sum.failed += 1;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') sum.passed += 1;
      else if (test.status === 'failed') sum.failed += 1;
      else {
        const allowed = allowedSkips.find((skip) => test.fullName.startsWith(skip.test));
        if (allowed) console.log(`${lane.name}: skipped, ${allowed.reason}: ${test.fullName}`);
        else fail(`skipped without leave: ${test.fullName}`);
      }
    }
  }
  if (sum.passed + sum.failed === 0) fail('no test ran');
  if (exitCode !== 0 && sum.failed === 0) fail(`the test runner ended with ${exitCode}`);
  return sum;
}

const plan = plans[process.argv[2]];
if (plan === undefined) {
  console.error(`usage: node tools/run-tests.mjs ${Object.keys(plans).join('|')}`);
  process.exit(2);
}

mkdirSync(reports, { recursive: true });
const total = { passed: 0, failed: 0 };
const failedSteps = [];
for (const step of plan) {
  console.log(`\n== ${step.name}`);
  const start = performance.now();
  const sum = step.command ? await runStep(step) : await (step.needsBrokers ? withBrokers(step) : runLane(step));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`== ${step.name}: ${sum.failed === 0 ? 'ok' : 'FAILED'}, ${seconds} s`);
  total.passed += sum.passed;
  total.failed += sum.failed;
  if (sum.failed > 0) failedSteps.push(step.name);
}
if (failedSteps.length > 0) console.log(`\nfailed: ${failedSteps.join(', ')}`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

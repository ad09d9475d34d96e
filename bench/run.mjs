// `make bench`: runs every case in turn, several times over, and prints the median of each figure.
//
//   node bench/run.mjs [--tasks 10000] [--repetitions 3] [--only in-process,brokers,bullmq] [--json FILE]
//
// A missed target is printed and is no failure. A case that loses or repeats a task is: exit 1.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cases } from './cases.mjs';
import { figuresOf, medianFigures } from './figures.mjs';
import { describeMachine, fsyncMs, isInMemory } from './machine.mjs';
import { installComparison, redisVersion } from './processes.mjs';
import { judgeTargets, printTable, printTargets } from './report.mjs';
import { findServers } from './servers.mjs';
import { concurrency, inFlight, payloadBytes } from './workload.mjs';

/** Beside the sources, so that the data lies on a disk: the system's folder for temporary files may be memory. */
const workFolder = fileURLToPath(new URL('../.cache/bench/', import.meta.url));

const { tasks, repetitions, names, jsonFile } = readArguments();
try {
  await main();
} catch (error) {
  console.error(`\n${error.message}`);
  process.exit(1);
}

async function main() {
  rmSync(workFolder, { recursive: true, force: true });
  mkdirSync(workFolder, { recursive: true });
  const chosen = withoutMissing(names);
  const machine = describe();
  const results = await measure(chosen);
  printTable(results);
  const targets = judgeTargets(results);
  printTargets(targets);
  printNotes(results);
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ machine, tasks, payloadBytes, inFlight, concurrency, results, targets }, null, 2)}\n`);
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: { tasks: { type: 'string' }, repetitions: { type: 'string' }, only: { type: 'string' }, json: { type: 'string' } },
    });
    const chosenNames = values.only === undefined ? Object.keys(cases) : values.only.split(',');
    const unknown = chosenNames.find((name) => !(name in cases));
    if (unknown !== undefined) throw new Error(`--only: there is no case ${unknown}; the cases are ${Object.keys(cases).join(', ')}`);
    return {
      tasks: wholeNumber('--tasks', values.tasks ?? '10000', 1_000_000),
      repetitions: wholeNumber('--repetitions', values.repetitions ?? '3', 100),
      names: chosenNames,
      jsonFile: values.json,
    };
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function wholeNumber(flag, text, most) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > most) throw new Error(`${flag} must be a whole number from 1 to ${most}`);
  return number;
}

function withoutMissing(wanted) {
  const missing = {
    brokers: findServers() ? null : 'the cases on brokers are left out, none are known: run `make brokers`, or set DAYBOOK_KAFKA_BROKERS, DAYBOOK_RABBITMQ_URL and DAYBOOK_POSTGRES_URL',
    redis: redisVersion() ? null : 'BullMQ is left out, redis-server is not installed: apt-get install redis-server (macOS: brew install redis)',
  };
  const chosen = wanted.filter((name) => (missing[cases[name].needs] ?? null) === null);
  for (const needs of new Set(wanted.map((name) => cases[name].needs))) if (missing[needs]) console.log(missing[needs]);
  if (chosen.includes('bullmq')) installComparison();
  return chosen;
}

function describe() {
  const described = { name: describeMachine(), redis: redisVersion(), fsyncMs: fsyncMs(workFolder) };
  console.log(`${tasks} tasks that do nothing, ${payloadBytes} bytes each, ${inFlight} in flight, one worker of concurrency ${concurrency}; median of ${repetitions}`);
  console.log(`${described.name}; writing and syncing 4 KiB: ${described.fsyncMs.toFixed(2)} ms`);
  if (isInMemory(workFolder)) console.log('WARNING: the data lies in memory (tmpfs), where syncing is free; the figures say little');
  return described;
}

/** One repetition runs every case once: where the machine's speed drifts, it drifts for all of them. */
async function measure(wanted) {
  const measured = Object.fromEntries(wanted.map((name) => [name, { title: cases[name].title, runs: [] }]));
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    for (const name of wanted) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${repetition}/${repetitions} ${cases[name].title} …`);
      measured[name].runs.push(await measureCase(name));
    }
  }
  console.log(process.stderr.isTTY ? '\r\x1b[K' : '');
  for (const result of Object.values(measured)) result.median = medianFigures(result.runs);
  return measured;
}

async function measureCase(name) {
  const folder = mkdtempSync(join(workFolder, `${name}-`));
  try {
    const figures = figuresOf(await cases[name].run({ tasks, folder }));
    rmSync(folder, { recursive: true });
    return figures;
  } catch (error) {
    throw new Error(`${name}: ${error.message}\nIts data is kept until the next run: ${folder}`, { cause: error });
  }
}

function printNotes(results) {
  console.log('\ncompleted: the outcome stands in the log (its clock has whole milliseconds). visible: the diary shows it.');
  console.log('On its own files Daybook syncs every event to disk before it goes on. Kafka syncs nothing by itself: what it acknowledges is safe by its replicas.');
  if (results.bullmq) console.log('Redis ran without appendonly file and snapshots, finished jobs removed: nothing synced, nothing kept.');
}
